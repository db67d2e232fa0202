"""The write side of a job's metrics, used by its runner: calls only append to a queue, a thread stores it."""

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from platform_core.clock import now
from platform_core.metrics.items import clean_numbers, clean_step, clean_text, to_json
from platform_core.metrics.pending import Pending
from platform_core.metrics.schema import open_for_writing, restore, unreadable
from platform_core.metrics.sealing import read_tail


class Writer:
    """The only writer of one `metrics.sqlite`. Make it in the process that logs (threads do not survive a fork).

    The constructor raises Problem for a foreign or damaged file; no other call raises. What cannot be stored now (disk
    full, file locked) is kept and tried again; what never can be (a step that is no number) is counted in `rejected`.
    """

    def __init__(self, path: Path, every: float = 0.5) -> None:
        self.errors = 0
        self.rejected = 0
        self.last_error = ""
        self.path = Path(path)
        self._connection = open_for_writing(self.path)
        try:
            self._tail = read_tail(self._connection)
            row = self._connection.execute("SELECT data FROM progress").fetchone()
            self._progress: dict[str, Any] = json.loads(row[0]) if row else {}
        except (sqlite3.Error, ValueError) as error:
            self._connection.close()
            raise unreadable(self.path, error) from error
        self._pending = Pending()
        self._queue: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(every,), name="metrics", daemon=True)
        self._thread.start()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers by name for one step; the same step again adds to it, the later value of a name wins."""
        try:
            self._queue.append(("metrics", (step, now(), dict(values))))
        except Exception:
            self.rejected += 1

    def event(self, kind: str, text: str, level: str = "info", step: int | None = None, **data: object) -> None:
        """Add something that happened; `level` is debug, info, warning or error; data is kept as JSON."""

        def row() -> tuple[object, ...]:
            at = None if step is None else clean_step(step)
            return now(), at, clean_text(level), clean_text(kind), clean_text(text), to_json(data)

        self._report("event", row)

    def sample(self, step: int, **fields: object) -> None:
        """Add one sample (prompt, answer, reward and so on) as a JSON row."""
        self._report("sample", lambda: (now(), clean_step(step), to_json(fields)))

    def vector(self, key: str, step: int, names: Sequence[str], values: Sequence[float]) -> None:
        """Store one float32 per name, such as the gradient norm of each layer; the same step again replaces it."""

        def row() -> tuple[object, ...]:
            numbers = np.array(values, "f4")
            if numbers.shape != (len(names),):
                raise ValueError(f"{len(names)} names for values of shape {numbers.shape}")
            layout = clean_text(key), names_json(tuple(names))
            return layout, clean_step(step), now(), numbers.tobytes()

        self._report("vector", row)

    def progress(self, **fields: object) -> None:
        """Merge fields (step, total_steps, phase and so on) into the one progress row."""
        self._report("progress", lambda: (now(), json.loads(to_json(fields))))

    def truncate(self, step: int) -> bool:
        """Forget all metrics, samples and vectors after `step` (resume from a checkpoint) in one transaction.

        False when it could not be stored yet: it is then done before anything that is logged later.
        """
        with self._lock:
            try:
                self._take_over()
                self._pending.cut_after(clean_step(step))
            except (TypeError, ValueError, OverflowError):
                self.rejected += 1
                return False
            return self.flush()

    def flush(self) -> bool:
        """Store what is queued; False when it could not be stored and waits for the next try."""
        with self._lock:
            return not self._queue if self._closed else self._store(seal_all=False)

    def close(self) -> bool:
        """Store and seal everything, and leave one plain file; False when something could not be stored."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        with self._lock:
            if self._closed:
                return True
            stored = self._store(seal_all=True)
            with suppress(sqlite3.Error):  # somebody is reading: the file stays as it is, which is as right
                self._tidy()
            self._connection.close()
            self._closed = True
            return stored

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _report(self, kind: str, row: Callable[[], tuple[Any, ...]]) -> None:
        # Encoded at once: a list or tensor may be changed by the caller right after.
        try:
            self._queue.append((kind, row()))
        except Exception:
            self.rejected += 1

    def _run(self, every: float) -> None:
        while not self._stopped.wait(every):
            self.flush()

    def _take_over(self) -> None:
        # Item by item: the runner may append meanwhile, and swapping the queue could lose what it appends just then.
        for _ in range(len(self._queue)):
            kind, row = self._queue.popleft()
            if kind != "metrics":
                self._pending.add_report(kind, row)
                continue
            step, time, values = row
            try:
                self._pending.add_row(clean_step(step), time, clean_numbers(values, self._tail.keys), self._tail)
            except (TypeError, ValueError, OverflowError):
                self.rejected += 1

    def _store(self, seal_all: bool) -> bool:
        try:
            self._take_over()
            if not self._pending and not seal_all:
                return True
            if not self.path.exists() and self.path.parent.is_dir():  # a deleted folder means a deleted job: let it go
                self._connection = restore(self._connection, self.path)
            self._connection.execute("BEGIN IMMEDIATE")
            tail = self._pending.write(self._connection, self._tail, seal_all)
            progress = self._progress
            if self._pending.progress:
                updated_at, fields = self._pending.progress
                progress = {**progress, **fields}
                self._connection.execute("REPLACE INTO progress VALUES(1,?,?)", (updated_at, to_json(progress)))
            self._connection.execute("COMMIT")
        except Exception as error:  # disk full, locked, file system gone: the training goes on and so do the tries
            self.errors += 1
            self.last_error = f"{type(error).__name__}: {error}"
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            return False
        self._tail, self._progress, self._pending = tail, progress, Pending()
        return True

    def _tidy(self) -> None:
        # After a short run most pages once held the tail. Without WAL the file alone is the run, read-only folders too.
        self._connection.execute("PRAGMA busy_timeout=1000")
        free, pages = self._connection.execute(
            "SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count"
        ).fetchone()
        if free * 5 > pages:
            self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.execute("PRAGMA journal_mode=DELETE")


@lru_cache(maxsize=64)
def names_json(names: tuple[str, ...]) -> str:
    """The names of a vector as they are stored; step after step they are the same."""
    return json.dumps([clean_text(name) for name in names])

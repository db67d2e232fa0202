"""The read side of a job's metrics, used by pages, the command line and the supervisor; also while the job writes."""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_core.metrics import chunks, curve, summaries
from platform_core.metrics.chunks import FIRST_STEP, LAST_STEP, Column, Steps
from platform_core.metrics.curve import Curve
from platform_core.metrics.schema import TIME_KEY, TIME_NAME, open_for_reading, unreadable

__all__ = ["Curve", "Event", "Reader", "Sample", "Vectors"]


@dataclass(frozen=True)
class Event:
    """Something that happened; `level` is debug, info, warning or error; `time` in seconds since 1970."""

    id: int
    time: float
    step: int | None
    level: str
    kind: str
    text: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One prompt and answer, or whatever fields the runner gave."""

    id: int
    time: float
    step: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Vectors:
    """`values` (steps x names, float32): row i is of step `steps[i]`, NaN for a name that step did not have."""

    names: list[str]
    steps: Steps
    values: NDArray[np.float32]


class Reader:
    """One consistent snapshot: `with Reader(path) as run:`, ask, leave; held open, it makes the writer's -wal grow.

    A missing or empty file reads as an empty run; a damaged or foreign one raises Problem.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._connection = open_for_reading(self._path)
        self._sealed: dict[int, summaries.Summaries] = {}
        self._tail: list[tuple[int, float, dict[str, float | str]]] | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the snapshot go."""
        self._connection.close()

    def names(self) -> list[str]:
        """The names of all metrics that have a value, sorted."""
        return sorted(self.latest())

    def latest(self) -> dict[str, tuple[int, float]]:
        """The newest step of each metric and its value there."""
        rows = self._rows("SELECT name, last_step, last_value FROM key WHERE last_step NOT NULL AND id<>?", TIME_KEY)
        return {name: (step, float(value)) for name, step, value in rows}

    def points(self, name: str, low: int | None = None, high: int | None = None) -> Column:
        """All points of a metric in low..high (both included): int64 steps in order, float64 values."""
        first, last = FIRST_STEP if low is None else low, LAST_STEP if high is None else high
        with self._decoding():
            sealed = chunks.load(self._connection, self._key(name), first, last)
            return chunks.merge(_within(sealed, first, last), _within(self._tail_column(name), first, last))

    def times(self, low: int | None = None, high: int | None = None) -> Column:
        """The wall time, in seconds since 1970, at which each step was (last) logged."""
        return self.points(TIME_NAME, low, high)

    def window_end(self, low: int | None, count: int) -> int | None:
        """The last step of the next `count` chunks from `low` on, to take a run in pieces; None: take the rest."""
        query = "SELECT step1 FROM bucket WHERE key_id=? AND step1>=? ORDER BY step0 LIMIT ?"
        ends = self._rows(query, TIME_KEY, FIRST_STEP if low is None else low, count)
        return int(ends[-1][0]) if len(ends) == count else None

    def curve(self, name: str, buckets: int = 1000, low: int | None = None, high: int | None = None) -> Curve:
        """The curve in low..high: its points if there are at most `buckets`, else that many buckets or fewer."""
        first, last = FIRST_STEP if low is None else low, LAST_STEP if high is None else high
        key_id = self._key(name)
        sealed = self._summaries(key_id)
        inside = sealed.within(first, last)
        count = inside.stop - inside.start
        if count * 3 < buckets or int(sealed.n[inside].sum()) <= buckets:
            column = self.points(name, low, high)
            if len(column[0]) <= buckets:
                return curve.exact(column)
            begin, width = int(column[0][0]), _width(column[0][0], column[0][-1], buckets)
            return curve.bucketed([curve.of_points(column, begin, width)], begin, width)
        begin, end = int(sealed.first[inside.start]), int(sealed.last[inside.stop - 1])
        late = self._late_chunks(name, key_id, begin, end)
        before, after = self.points(name, low, begin - 1), self.points(name, end + 1, high)
        pieces = [before, after, *(self.points(name, at, until) for at, until in late)]
        from_step = int(before[0][0]) if len(before[0]) else begin
        to_step = int(after[0][-1]) if len(after[0]) else end
        width = _width(from_step, to_step, buckets)
        sums = curve.of_chunks(sealed, inside, [at for at, _ in late])
        return curve.bucketed([sums, *(curve.of_points(piece, from_step, width) for piece in pieces)], from_step, width)

    def sparkline(self, name: str, points: int = 50) -> list[float]:
        """At most `points` finite means over the whole run, for a small picture."""
        return [float(value) for value in self.curve(name, points).mean if np.isfinite(value)]

    def events(self, after_id: int = 0, limit: int = 500, levels: Sequence[str] | None = None) -> list[Event]:
        """Events in the order they came, after the one with `after_id`; of the given levels only."""
        chosen = None if levels is None else json.dumps(list(levels))
        rows = self._rows(
            "SELECT id, time, step, level, kind, text, data FROM event WHERE id>?1"
            " AND (?2 IS NULL OR level IN (SELECT value FROM json_each(?2))) ORDER BY id LIMIT ?3",
            after_id,
            chosen,
            limit,
        )
        return [
            Event(number, time, step, level, kind, text, self._json(data))
            for number, time, step, level, kind, text, data in rows
        ]

    def newest_events(self, kinds: Sequence[str], limit: int) -> list[Event]:
        """The newest events of some kinds, oldest of them first."""
        query = (
            "SELECT id, time, step, level, kind, text, data FROM event WHERE kind IN (SELECT value FROM json_each(?))"
        )
        rows = self._rows(f"{query} ORDER BY id DESC LIMIT ?", json.dumps(list(kinds)), limit)
        return [
            Event(number, time, step, level, kind, text, self._json(data))
            for number, time, step, level, kind, text, data in reversed(rows)
        ]

    def samples(
        self,
        limit: int = 50,
        before_id: int | None = None,
        step: int | None = None,
        search: str | None = None,
        prompt: str | None = None,
        reward: tuple[float | None, float | None] = (None, None),
        oldest_first: bool = False,
    ) -> list[Sample]:
        """Samples, newest first: older than `before_id`, of one step, with `search` in a field (in any ASCII case).

        `prompt` keeps one prompt, `reward` those within its bounds (None: open); one without a reward is in no bounds.
        """
        low, high = reward
        told = "json_extract(data, '$.reward')"
        wanted = "(?1 IS NULL OR id<?1) AND (?2 IS NULL OR step=?2)"
        wanted += " AND (?4 IS NULL OR EXISTS(SELECT 1 FROM json_tree(data) WHERE instr(lower(atom), lower(?4))))"
        wanted += " AND (?5 IS NULL OR json_extract(data, '$.prompt')=?5)"
        wanted += f" AND (?6 IS NULL OR typeof({told})<>'text' AND {told}>=?6) AND (?7 IS NULL OR {told}<=?7)"
        rows = self._rows(
            f"SELECT id, time, step, data FROM sample WHERE {wanted} ORDER BY id {'ASC' if oldest_first else 'DESC'}"
            " LIMIT ?3",
            *(before_id, step, limit, search or None, prompt, low, high),
        )
        return [Sample(number, time, at, self._json(data)) for number, time, at, data in rows]

    def prompts(self, limit: int) -> list[str]:
        """Different prompts of the samples, in the order in which they came."""
        query = "SELECT json_extract(data, '$.prompt') AS p FROM sample WHERE p IS NOT NULL GROUP BY p ORDER BY min(id)"
        return [str(prompt) for (prompt,) in self._rows(f"{query} LIMIT ?", limit)]

    def vectors(self, key: str, low: int | None = None, high: int | None = None) -> Vectors:
        """All vectors of a key in low..high as one matrix."""
        layouts: dict[int, list[str]] = {}
        for layout_id, names in self._rows("SELECT id, names FROM layout WHERE key=? ORDER BY id", key):
            layouts[layout_id] = json.loads(names)
        columns = {name: at for at, name in enumerate(dict.fromkeys(n for names in layouts.values() for n in names))}
        rows = self._rows(
            "SELECT step, layout_id, vals FROM vector WHERE layout_id IN (SELECT id FROM layout WHERE key=?)"
            " AND step BETWEEN ? AND ? ORDER BY step, time",
            key,
            FIRST_STEP if low is None else low,
            LAST_STEP if high is None else high,
        )
        steps = np.unique(np.array([row[0] for row in rows], "i8"))
        values = np.full((len(steps), len(columns)), np.nan, "f4")
        places = {layout_id: [columns[name] for name in names] for layout_id, names in layouts.items()}
        with self._decoding():
            for step, layout_id, packed in rows:
                values[np.searchsorted(steps, step), places[layout_id]] = np.frombuffer(packed, "f4")
        return Vectors(list(columns), steps, values)

    def progress(self) -> dict[str, object]:
        """The merged progress fields and `updated_at` (seconds since 1970); empty before the first report."""
        rows = self._rows("SELECT updated_at, data FROM progress")
        return {**self._json(rows[0][1]), "updated_at": rows[0][0]} if rows else {}

    def _key(self, name: str) -> int:
        rows = self._rows("SELECT id FROM key WHERE name=?", name)
        return int(rows[0][0]) if rows else -1

    def _summaries(self, key_id: int) -> summaries.Summaries:
        if key_id not in self._sealed:
            with self._decoding():
                self._sealed[key_id] = summaries.of_key(self._connection, self._path, key_id)
        return self._sealed[key_id]

    def _tail_column(self, name: str) -> Column:
        # Parsed once a snapshot, whichever names are asked for: a page asks for many.
        if self._tail is None:
            rows = self._rows("SELECT step, time, data FROM tail ORDER BY step")
            self._tail = [(step, time, self._json(data)) for step, time, data in rows]
        if name == TIME_NAME:
            pairs = [(step, time) for step, time, _ in self._tail]
        else:
            pairs = [(step, float(values[name])) for step, _, values in self._tail if name in values]
        return np.array([step for step, _ in pairs], "i8"), np.array([value for _, value in pairs], "f8")

    def _late_chunks(self, name: str, key_id: int, begin: int, end: int) -> list[tuple[int, int]]:
        """First and last step of the chunks that rows of the tail fall into, since their summaries lack those."""
        steps, _ = _within(self._tail_column(name), begin, end)
        found: dict[int, int] = {}
        for step in steps.tolist():
            if found and step <= max(found.values()):
                continue
            owner = "SELECT step0 FROM bucket WHERE key_id=?1 AND step0<=?2 ORDER BY step0 DESC LIMIT 1"
            following = "SELECT step0-1 FROM bucket WHERE key_id=?1 AND step0>?2 ORDER BY step0 LIMIT 1"
            row = self._rows(f"SELECT ({owner}), ifnull(({following}), ?3)", key_id, step, end)[0]
            found[row[0]] = min(row[1], end)
        return sorted(found.items())

    def _rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._decoding():
            return self._connection.execute(query, arguments).fetchall()

    def _json(self, text: str) -> dict[str, Any]:
        with self._decoding():
            data = json.loads(text)
            if not isinstance(data, dict):
                raise ValueError("a row does not hold an object")
            return data

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, zlib.error, ValueError, IndexError, TypeError) as error:
            raise unreadable(self._path, error) from error


def _within(column: Column, low: int, high: int) -> Column:
    steps, values = column
    kept = slice(np.searchsorted(steps, low), np.searchsorted(steps, high, "right"))
    return steps[kept], values[kept]


def _width(first: int, last: int, buckets: int) -> int:
    return max(1, -(-(int(last) - int(first) + 1) // buckets))

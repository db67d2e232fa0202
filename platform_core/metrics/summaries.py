"""Summaries of a run's sealed chunks, kept in memory between readers: a refresh reads only what is new.

Chunks can change behind us when a resume cuts a run or late rows are sealed into old ones. Each use therefore first
compares how many points, how many of them bad, and which sum the file has where the kept rows are.
"""

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_core.metrics.chunks import FIRST_STEP, Steps, Values

KEPT = 256
"""Metrics of which summaries are kept, the least used forgotten first; one of a run of 1 M steps takes 110 kB."""
COLUMNS = {"first": "i8", "last": "i8", "n": "i8", "bad": "i8", "minimum": "f8", "maximum": "f8", "total": "f8"}
_kept: OrderedDict[tuple[str, int], "Summaries"] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class Summaries:
    """One row a chunk, in order of steps; arrays of equal length, as the table `bucket` has them.

    `told` is what the file said of all rows but the last, which may still grow.
    """

    first: Steps
    last: Steps
    n: NDArray[np.int64]
    bad: NDArray[np.int64]
    minimum: Values
    maximum: Values
    total: Values
    told: tuple[float, ...] = ()

    def within(self, low: int, high: int) -> slice:
        """The chunks that lie whole in low..high."""
        begin = int(np.searchsorted(self.first, low))
        return slice(begin, max(begin, int(np.searchsorted(self.last, high, "right"))))


def of_key(connection: sqlite3.Connection, path: Path, key_id: int) -> Summaries:
    """The summaries of all chunks of a metric, as the connection's snapshot has them."""
    place = (str(path), key_id)
    with _lock:
        kept = _kept.get(place)
    if kept is not None and kept.told == _told(connection, key_id, int(kept.first[-1])):
        after = int(kept.first[-1])
        rows = _rows(connection, key_id, after)
        if len(rows) == 1 and rows[0][2] == kept.n[-1] and rows[0][6] == kept.total[-1]:
            return kept
        made = _joined(kept, rows)
    else:
        made = _joined(None, _rows(connection, key_id, FIRST_STEP))
    if len(made.first) > 1:
        made = replace(made, told=_told(connection, key_id, int(made.first[-1])))
        with _lock:
            _kept[place] = made
            _kept.move_to_end(place)
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
    return made


def _told(connection: sqlite3.Connection, key_id: int, before: int) -> tuple[float, ...]:
    query = "SELECT count(*), total(n), total(bad), total(sum), total(min), total(max) FROM bucket"
    row = connection.execute(f"{query} WHERE key_id=? AND step0<?", (key_id, before)).fetchone()
    return tuple(float(value) for value in row)


def _rows(connection: sqlite3.Connection, key_id: int, since: int) -> list[tuple[Any, ...]]:
    query = "SELECT step0, step1, n, bad, min, max, sum FROM bucket WHERE key_id=? AND step0>=? ORDER BY step0"
    return connection.execute(query, (key_id, since)).fetchall()


def _joined(kept: Summaries | None, rows: list[tuple[Any, ...]]) -> Summaries:
    """The kept rows but the last, and the rows that were read."""
    read = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    columns: dict[str, Any] = {
        name: np.array(column, kind) for (name, kind), column in zip(COLUMNS.items(), read, strict=True)
    }
    if kept is not None:
        columns = {name: np.concatenate([getattr(kept, name)[:-1], new]) for name, new in columns.items()}
    return Summaries(**columns)

"""The newest steps as rows, and their way into chunks: what one flush of the writer does inside its transaction."""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import orjson

from platform_core.metrics import chunks
from platform_core.metrics.schema import TIME_KEY, TIME_NAME

Row: TypeAlias = tuple[float, dict[str, float]]

# A seal holds the interpreter for a moment: with thousands of keys it happens after fewer steps.
SEAL_POINTS = 200_000


@dataclass(frozen=True)
class Tail:
    """What the writer knows of the committed file: the rows not yet sealed, and the ids of the metrics."""

    rows: dict[int, Row]
    keys: dict[str, int]
    width: int = 1

    @property
    def seal_steps(self) -> int:
        """After how many rows the tail is sealed."""
        return max(1, min(chunks.CHUNK_STEPS, SEAL_POINTS // self.width))


def read_tail(connection: sqlite3.Connection) -> Tail:
    """The rows and keys of a file that is opened again."""
    keys = dict(connection.execute("SELECT name, id FROM key WHERE id<>?", (TIME_KEY,)).fetchall())
    rows: dict[int, Row] = {}
    for step, time, data in connection.execute("SELECT step, time, data FROM tail"):
        rows[step] = (time, {name: float(value) for name, value in orjson.loads(data).items()})
    return Tail(rows, keys, max([1, *(len(values) for _, values in rows.values())]))


def write(connection: sqlite3.Connection, tail: Tail, new: Mapping[int, Row], seal_all: bool = False) -> Tail:
    """Store new rows (merged with those of the same step) and seal the oldest when there are enough; the new tail."""
    width = max([tail.width, *(len(values) for _, values in new.values())])
    after = Tail({**tail.rows, **new}, dict(tail.keys), width)
    _update_latest(connection, after.keys, new)
    size, order = after.seal_steps, sorted(after.rows)
    to_seal = order if seal_all else order[: len(order) - len(order) % size]
    for start in range(0, len(to_seal), size):
        _seal(connection, after, to_seal[start : start + size])
    connection.executemany("DELETE FROM tail WHERE step=?", [(step,) for step in to_seal if step in tail.rows])
    for step in to_seal:
        del after.rows[step]
    connection.executemany(
        "REPLACE INTO tail VALUES(?,?,?)",
        [(step, time, _row_json(values)) for step, (time, values) in new.items() if step in after.rows],
    )
    return after


def cut(connection: sqlite3.Connection, tail: Tail, step: int) -> Tail:
    """Forget every later step, in rows and chunks, and set the latest values back."""
    chunks.cut(connection, step)
    connection.execute("DELETE FROM tail WHERE step>?", (step,))
    connection.execute(
        "UPDATE key SET (last_step, last_value) = (SELECT step1, last FROM bucket WHERE key_id=id"
        " ORDER BY step0 DESC LIMIT 1) WHERE last_step>?",
        (step,),
    )
    kept = {at: row for at, row in tail.rows.items() if at <= step}
    _update_latest(connection, tail.keys, kept)
    return Tail(kept, tail.keys, tail.width)


def _update_latest(connection: sqlite3.Connection, keys: dict[str, int], rows: Mapping[int, Row]) -> None:
    latest: dict[str, tuple[int, float]] = {}
    for step in sorted(rows, reverse=True):
        values = rows[step][1]
        if not values.keys() <= latest.keys():
            latest = {name: (step, value) for name, value in values.items()} | latest
    for name in latest:
        if name not in keys:
            cursor = connection.execute("INSERT INTO key(name) VALUES(?)", (name,))
            keys[name] = int(cursor.lastrowid or 0)
    connection.executemany(
        "UPDATE key SET last_step=?1, last_value=?2 WHERE id=?3 AND ?1>=ifnull(last_step, ?1)",
        [(step, chunks.sql_number(value), keys[name]) for name, (step, value) in latest.items()],
    )


def _seal(connection: sqlite3.Connection, tail: Tail, steps: Sequence[int]) -> None:
    rows, small = tail.rows, max(2, tail.seal_steps // 4)
    columns: dict[str, tuple[Sequence[int], list[float]]] = {TIME_NAME: (steps, [rows[step][0] for step in steps])}
    names = rows[steps[0]][1].keys()
    if all(rows[step][1].keys() == names for step in steps):
        for name in names:
            columns[name] = (steps, [rows[step][1][name] for step in steps])
    else:
        columns.update(_sparse_columns(rows, steps))
    for name, (at, values) in columns.items():
        key_id = TIME_KEY if name == TIME_NAME else tail.keys[name]
        chunks.add(connection, key_id, (np.asarray(at, "i8"), np.asarray(values, "f8")), small)


def _sparse_columns(rows: Mapping[int, Row], steps: Sequence[int]) -> dict[str, tuple[list[int], list[float]]]:
    columns: dict[str, tuple[list[int], list[float]]] = {}
    for step in steps:
        for name, value in rows[step][1].items():
            at, values = columns.setdefault(name, ([], []))
            at.append(step)
            values.append(value)
    return columns


def _row_json(values: dict[str, float]) -> str:
    if math.isfinite(sum(values.values())):
        return orjson.dumps(values).decode()
    return orjson.dumps({name: chunks.sql_number(value) for name, value in values.items()}).decode()

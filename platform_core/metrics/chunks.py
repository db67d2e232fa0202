"""Columns of one metric as compressed chunks with summaries: exact values, and cheap curves of any length."""

import math
import sqlite3
import zlib
from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Steps: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]
Column: TypeAlias = tuple[Steps, Values]

CHUNK_STEPS = 512
DECODED_AT_ONCE = 1024
"""Chunks, so that a long column does not lie in memory packed and unpacked."""
FIRST_STEP, LAST_STEP = -(2**62), 2**62


def pack(numbers: NDArray[Any]) -> bytes:
    """Byte-shuffled and compressed: the bytes of equal weight side by side, since those of neighbours are alike."""
    size = numbers.itemsize
    shuffled = numbers.view("u1").reshape(-1, size).T.tobytes()
    return bytes([size]) + zlib.compress(shuffled, 1)


def unpack(packed: bytes, kind: str) -> NDArray[Any]:
    """The numbers of `pack`; kind is "f" (float) or "i" (integer)."""
    return unpack_all([packed], kind)[0]


def unpack_all(packed: Sequence[bytes], kind: str) -> list[NDArray[Any]]:
    """The numbers of several `pack`s in order, those of equal size that follow each other in one array."""
    shuffled = [(one[0], zlib.decompress(memoryview(one)[1:])) for one in packed]
    found = []
    for (size, length), alike in groupby(shuffled, lambda one: (one[0], len(one[1]))):
        numbers = np.frombuffer(b"".join(raw for _, raw in alike), "u1").reshape(-1, size, length // size)
        found.append(np.ascontiguousarray(numbers.transpose(0, 2, 1)).reshape(-1).view(f"{kind}{size}"))
    return found


def empty() -> Column:
    return np.empty(0, "i8"), np.empty(0, "f8")


def merge(old: Column, new: Column) -> Column:
    """Both columns in step order; where both hold a step, `new` wins. Each must be in step order without repeats."""
    if not len(old[0]) or not len(new[0]):
        return old if len(old[0]) else new
    if new[0][0] > old[0][-1]:
        return np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]])
    # np.unique names the first of equal steps: put the new ones first.
    steps, first = np.unique(np.concatenate([new[0], old[0]]), return_index=True)
    return steps, np.concatenate([new[1], old[1]])[first]


def load(connection: sqlite3.Connection, key_id: int, low: int = FIRST_STEP, high: int = LAST_STEP) -> Column:
    """All sealed values of the chunks that touch low..high (both included), so also some outside of it."""
    cursor = connection.execute(
        "SELECT b.step0, step1, n, steps, vals FROM bucket b JOIN chunk c USING(key_id, step0)"
        " WHERE key_id=? AND b.step0<=? AND step1>=? ORDER BY b.step0",
        (key_id, high, low),
    )
    steps: list[Steps] = []
    values: list[NDArray[Any]] = []
    while rows := cursor.fetchmany(DECODED_AT_ONCE):
        steps += _steps(rows)
        values += unpack_all([row[4] for row in rows], "f")
    if not steps:
        return empty()
    found = np.concatenate(steps) if len(steps) > 1 else steps[0], np.concatenate(values, dtype="f8")
    if len(found[0]) != len(found[1]):
        raise zlib.error(f"the chunks of metric {key_id} hold {len(found[1])} values for {len(found[0])} steps")
    return found


def _steps(rows: Sequence[tuple[Any, ...]]) -> list[Steps]:
    """The steps of chunks. Those of an even gap, of which nothing is packed, are one array as long as it stays."""
    found: list[Steps] = []
    spans: list[list[int]] = []
    for first, last, count, packed, _ in rows:
        if packed is not None:
            found += [_even(span) for span in spans]
            spans = []
            found.append(unpack(packed, "i"))
            continue
        gap = max(1, (last - first) // max(1, count - 1))
        if spans and spans[-1][2] == gap and spans[-1][1] + gap == first:
            spans[-1][1] = last
        else:
            spans.append([first, last, gap])
    return found + [_even(span) for span in spans]


def _even(span: Sequence[int]) -> Steps:
    first, last, gap = span
    return np.arange(first, last + 1, gap, dtype="i8")


def add(connection: sqlite3.Connection, key_id: int, column: Column, small: int) -> None:
    """Seal a column (in step order). Late or repeated steps go into the chunk they belong to, the new value wins.

    A last chunk with fewer than `small` values is filled up rather than followed by another small one.
    """
    steps, values = column
    last = connection.execute(
        "SELECT step0, step1, n FROM bucket WHERE key_id=? ORDER BY step0 DESC LIMIT 1", (key_id,)
    ).fetchone()
    if last is None or (steps[0] > last[1] and last[2] >= small):
        put(connection, key_id, column)
        return
    starts = [
        row[0]
        for row in connection.execute(
            "SELECT step0 FROM bucket WHERE key_id=?1 AND step0>="
            "ifnull((SELECT max(step0) FROM bucket WHERE key_id=?1 AND step0<=?2), ?2) ORDER BY step0",
            (key_id, int(steps[0])),
        )
    ]
    owner = np.searchsorted(starts, steps, "right") - 1
    for at in np.unique(owner).tolist():
        old = load(connection, key_id, starts[at], starts[at]) if 0 <= at < len(starts) else empty()
        put(connection, key_id, merge(old, (steps[owner == at], values[owner == at])))


def put(connection: sqlite3.Connection, key_id: int, column: Column) -> None:
    """Write one chunk and its summary, in place of the one with the same first step; a long one becomes several."""
    if len(column[0]) > 2 * CHUNK_STEPS:
        for start in range(0, len(column[0]), CHUNK_STEPS):
            put(connection, key_id, (column[0][start : start + CHUNK_STEPS], column[1][start : start + CHUNK_STEPS]))
        return
    steps, values = column
    with np.errstate(over="ignore"):
        finite, single, gaps = values[np.isfinite(values)], values.astype("f4"), np.diff(steps)
        total = float(finite.sum())
    summary: list[object] = [None, None, None]
    if len(finite):
        summary = [float(finite.min()), float(finite.max()), total]
    connection.execute(
        "REPLACE INTO bucket VALUES(?,?,?,?,?,?,?,?,?)",
        (key_id, int(steps[0]), int(steps[-1]), len(steps), len(steps) - len(finite), *summary, sql_number(values[-1])),
    )
    regular = len(steps) == 1 or bool((gaps == gaps[0]).all())
    exact_single = np.array_equal(single, values, equal_nan=True)
    connection.execute(
        "REPLACE INTO chunk VALUES(?,?,?,?)",
        (key_id, int(steps[0]), None if regular else pack(steps), pack(single if exact_single else values)),
    )


def cut(connection: sqlite3.Connection, step: int) -> None:
    """Forget all sealed values after `step`; a chunk that straddles it is shortened."""
    for table in ("bucket", "chunk"):
        connection.execute(f"DELETE FROM {table} WHERE step0>?", (step,))
    straddling = connection.execute("SELECT key_id, step0 FROM bucket WHERE step1>?", (step,)).fetchall()
    for key_id, start in straddling:
        steps, values = load(connection, key_id, start, start)
        put(connection, key_id, (steps[steps <= step], values[steps <= step]))


def sql_number(value: float) -> float | str:
    """SQLite stores NaN as NULL, and JSON has no word for it: both get the strings "nan", "inf", "-inf"."""
    return float(value) if math.isfinite(value) else str(float(value))

"""A job's metrics for elsewhere: a whole copy of the file, or a CSV of every point."""

import csv
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO

from platform_core.metrics.chunks import Column
from platform_core.metrics.reader import Reader
from platform_core.metrics.schema import open_for_reading, unreadable

WINDOW_CHUNKS = 16


def copy(path: Path, target: Path) -> None:
    """Copy a store, also a live one, to `target`, which appears only when whole (`cp` would miss the -wal)."""
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(open_for_reading(path)) as connection:
            if connection.in_transaction:  # VACUUM takes a snapshot of its own
                connection.execute("COMMIT")
            connection.execute("VACUUM INTO ?", (str(partial),))
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def export_csv(path: Path, stream: TextIO) -> None:
    """Write `rows` to a stream."""
    csv.writer(stream, lineterminator="\n").writerows(rows(path))


def rows(path: Path) -> Iterator[Sequence[object]]:
    """`step,time,<name>,…`, then one line a step, empty where a metric has no value there.

    It goes through the run in windows, each a snapshot of its own, so that memory and the writer's -wal stay small.
    Names that a spreadsheet would take for a formula get an apostrophe.
    """
    with Reader(path) as run:
        names = run.names()
    yield ["step", "time", *(harmless(name) for name in names)]
    low: int | None = None
    while True:
        with Reader(path) as run:
            high = run.window_end(low, WINDOW_CHUNKS)
            steps, times = run.times(low, high)
            columns = [_by_step(run.points(name, low, high)) for name in names]
        for step, time in zip(steps.tolist(), times.tolist(), strict=True):
            yield [step, f"{time:.3f}", *(column.get(step, "") for column in columns)]
        if high is None:
            return
        low = high + 1


def _by_step(column: Column) -> dict[int, float]:
    return dict(zip(column[0].tolist(), column[1].tolist(), strict=True))


def harmless(name: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name

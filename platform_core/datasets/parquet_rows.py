"""Parquet rows, nested columns as lists and objects, a small batch at a time."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platform_core.datasets.rows import MEGABYTE, FileFacts, Limits, Problems, Row
from platform_core.errors import Problem, text

BATCH_ROWS = 256


def parquet_rows(path: Path, facts: FileFacts, problems: Problems, limits: Limits, number: int = 1) -> Iterator[Row]:
    """Rows from the `number`-th on; whole row groups before it are not read. Raises Problem when the file is
    damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            groups, at = _groups_from(file, number)
            facts.columns = list(file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups):
                if batch.nbytes > limits.batch_bytes:
                    raise Problem(
                        "{file} holds {n} rows of more than {megabytes} MB together (near row {row}): rows that "
                        "large are no training data.",
                        file=facts.name,
                        n=batch.num_rows,
                        megabytes=limits.batch_bytes // MEGABYTE,
                        row=at,
                    )
                part = batch.slice(max(number - at, 0))
                yield from _batch_rows(part, max(at, number), facts, problems)
                at += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        detail = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise Problem(
            "{file} is a damaged Parquet file ({reason}): export or upload it again.", file=facts.name, reason=detail
        ) from None


def _batch_rows(batch: Any, number: int, facts: FileFacts, problems: Problems) -> Iterator[Row]:
    """Rows of a batch; where one of them can't be read, they are taken one by one, so that only that one is lost."""
    try:
        values = batch.to_pylist()
    except (ValueError, OverflowError) as error:
        if batch.num_rows > 1:
            for i in range(batch.num_rows):
                yield from _batch_rows(batch.slice(i, 1), number + i, facts, problems)
        else:
            problems.add(
                number, -1, text("holds a value that can't be read: {detail}", detail=str(error)[:120]), facts.name
            )
        return
    for row, value in enumerate(values, start=number):
        yield Row(row, -1, _plain_row(value, row, facts, problems), facts.name)


def _groups_from(file: Any, number: int) -> tuple[list[int], int]:
    """(row groups to read, number of the first row in them) so that row `number` is in the first group."""
    at = 1
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if number < at + count:
            return list(range(group, file.metadata.num_row_groups)), at
        at += count
    return [], at


def _plain_row(value: dict[str, Any], row: int, facts: FileFacts, problems: Problems) -> dict[str, Any]:
    try:
        return {name: _plain(item) for name, item in value.items()}
    except UnicodeDecodeError:
        binary = [name for name, item in value.items() if isinstance(item, bytes)]
        problems.add(
            row,
            -1,
            text(
                "holds bytes that are no text in {columns}: read as empty",
                columns=", ".join(binary) or "a nested field",
            ),
        )
        return {name: None if _has_bytes(item) else _plain(item) for name, item in value.items()}


def _plain(item: Any) -> Any:
    """A value as JSON would hold it; NaN, which Parquet writers use for a missing number, becomes None."""
    if isinstance(item, str | bool | int) or item is None:
        return item
    if isinstance(item, float):
        return None if item != item or item in (float("inf"), float("-inf")) else item
    if isinstance(item, dict):
        return {str(key): _plain(inner) for key, inner in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(inner) for inner in item]
    if isinstance(item, bytes):
        return item.decode("utf-8")
    if isinstance(item, decimal.Decimal | datetime.timedelta):
        return str(item)
    if isinstance(item, datetime.date | datetime.time):
        return item.isoformat()
    return str(item)


def _has_bytes(item: Any) -> bool:
    if isinstance(item, dict):
        return any(map(_has_bytes, item.values()))
    if isinstance(item, list | tuple):
        return any(map(_has_bytes, item))
    return isinstance(item, bytes)

"""Parquet rows, nested columns as lists and objects, a small batch at a time."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platform_core.datasets.containers import refuse_bomb
from platform_core.datasets.json_rows import too_long
from platform_core.datasets.rows import MEGABYTE, FileFacts, Limits, Problems, Row, rough_bytes
from platform_core.errors import Problem, text

BATCH_ROWS = 256
ROWS_AT_ONCE = 32


def parquet_rows(path: Path, facts: FileFacts, problems: Problems, limits: Limits, number: int = 1) -> Iterator[Row]:
    """Rows from the `number`-th on; whole row groups before it are not read. Raises Problem when the file is
    damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed, out = path.stat().st_size, 0
    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            groups, at = _groups_from(file, number)
            facts.columns = list(file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups):
                if batch.nbytes > limits.batch_bytes:
                    raise Problem(
                        "{file} holds {n} rows of more than {megabytes} MiB together (near row {row}): rows that "
                        "large are no training data.",
                        file=facts.name,
                        n=batch.num_rows,
                        megabytes=limits.batch_bytes // MEGABYTE,
                        row=at,
                    )
                for row in _batch_rows(batch.slice(max(number - at, 0)), max(at, number), facts, problems):
                    weight = rough_bytes(row.value)
                    out += weight
                    refuse_bomb(facts.name, out, packed, limits)
                    if weight > limits.line_bytes:
                        problems.add(row.number, -1, too_long(weight, limits), facts.name)
                    else:
                        yield row
                at += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        detail = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise Problem(
            "{file} is a damaged Parquet file ({reason}): export or upload it again.", file=facts.name, reason=detail
        ) from None


def _batch_rows(batch: Any, number: int, facts: FileFacts, problems: Problems) -> Iterator[Row]:
    """Rows of a batch, few at once, since a dictionary can make a small batch large."""
    for start in range(0, batch.num_rows, ROWS_AT_ONCE):
        yield from _some_rows(batch.slice(start, ROWS_AT_ONCE), number + start, facts, problems)


def _some_rows(part: Any, number: int, facts: FileFacts, problems: Problems) -> Iterator[Row]:
    """These rows; where one of them can't be read, they are taken one by one, so that only that one is lost."""
    try:
        values = part.to_pylist()
    except (ValueError, OverflowError) as error:
        if part.num_rows > 1:
            for i in range(part.num_rows):
                yield from _some_rows(part.slice(i, 1), number + i, facts, problems)
        else:
            reason = text("holds a value that can't be read: {detail}", detail=str(error)[:120])
            problems.add(number, -1, reason, facts.name)
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

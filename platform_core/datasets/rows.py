"""What a reader yields: rows, the rows it could not use and why, and what it found out about each file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from platform_core.errors import Text

MEGABYTE = 1 << 20
KEPT_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number (from 1; the line of a text file), its byte offset in the unpacked file (-1: none), its
    fields."""

    number: int
    offset: int
    value: dict[str, Any]
    file: str = ""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that can't be used, and why."""

    row: int
    offset: int
    reason: Text
    file: str = ""


@dataclass
class ReasonCount:
    """How many rows have a problem of one kind; `reason` is that of the first such row."""

    reason: Text
    count: int


@dataclass
class Problems:
    """The first problems in full, all of them counted by reason (its template, and the field where it names one)."""

    first: list[RowProblem] = field(default_factory=list)
    counts: dict[tuple[str, object], ReasonCount] = field(default_factory=dict)

    def add(self, row: int, offset: int, reason: Text, file: str = "") -> None:
        if len(self.first) < KEPT_PROBLEMS:
            self.first.append(RowProblem(row, offset, reason, file))
        self.count(reason)

    def count(self, reason: Text) -> None:
        self.counts.setdefault((reason.template, reason.values.get("field")), ReasonCount(reason, 0)).count += 1

    @property
    def total(self) -> int:
        return sum(c.count for c in self.counts.values())


@dataclass(frozen=True)
class Limits:
    """Bounds against hostile or broken files, in bytes; ratios hold only after `free_bytes` came out of a packed
    file."""

    line_bytes: int = 16 * MEGABYTE
    unpacked_bytes: int = 64 << 30
    free_bytes: int = 256 * MEGABYTE
    ratio: int = 250
    members: int = 1000
    batch_bytes: int = 512 * MEGABYTE


LIMITS = Limits()


@dataclass
class FileFacts:
    """How one data file (or zip member) is read; `kind` is json_lines, json_array, json_object, csv, text or
    parquet."""

    name: str
    container: str
    kind: str = ""
    encoding: str = ""
    bom: int = 0
    delimiter: str = ","
    columns: list[str] = field(default_factory=list)
    has_header: bool = True
    notes: list[Text] = field(default_factory=list)


@dataclass(frozen=True)
class Start:
    """Where to go on reading: row `number` of the file `file` begins at byte `offset` of it, unpacked."""

    file: str
    offset: int
    number: int


def rough_bytes(value: object) -> int:
    """About how much a value weighs, to bound what is held."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(rough_bytes, value.values())) + 16 * len(value)
    return sum(map(rough_bytes, value)) if isinstance(value, list) else 8

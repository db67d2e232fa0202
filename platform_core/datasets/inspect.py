"""One pass over a dataset that yields its report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from platform_core.clock import monotonic
from platform_core.datasets.formats import columns_of, detect, validate
from platform_core.datasets.needs import first_values
from platform_core.datasets.read import Rows, data_files
from platform_core.datasets.report import Field, Lengths, Report
from platform_core.datasets.rows import LIMITS, Limits, Problems, Row, Start
from platform_core.errors import Problem, text

Progress = Callable[[int, int], None]
EVERY = 500
MOST_FIELDS = 200
EXAMPLE = 160
KINDS = {str: "text", bool: "boolean", int: "integer", float: "number", list: "list", dict: "object"}
BLOCK = 1 << 20


def inspect(path: Path, progress: Progress | None = None, limits: Limits = LIMITS) -> Report:
    """Read a dataset once and say what it holds; `progress(bytes read, all bytes)`. Raises Problem when it can't be
    read."""
    began = monotonic()
    files = data_files(path)
    size = sum(file.stat().st_size for file, _ in files)
    report = Report(name=path.name, size_bytes=size, sha256=_sha256([file for file, _ in files]))
    with Rows(path, limits=limits) as source:
        tally = _Tally(report, source.problems)
        rows = tally.watch(source, progress)
        head: list[Row] = []
        values = (head.append(row) or row.value for row in rows)  # type: ignore[func-returns-value]
        first = first_values(values)
        report.guesses = detect(first)
        report.format = report.guesses[0].format if report.guesses else None
        report.columns = columns_of(report.format, first) if report.format else {}
        for row in chain(head, rows):
            tally.add(row)
        tally.finish(source)
    if not report.rows:
        raise Problem("{file} holds no rows: a header or empty list is all there is.", file=path.name)
    report.seconds = round(monotonic() - began, 3)
    if progress:
        progress(size, size)
    return report


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


class _Tally:
    """Counts that grow row by row, bounded in memory."""

    def __init__(self, report: Report, unreadable: Problems) -> None:
        self.report, self.unreadable, self.unfit = report, unreadable, Problems()
        self.fields: dict[str, dict[str, int]] = {}
        self.filled: dict[str, int] = {}
        self.examples: dict[str, str] = {}
        self.lengths: dict[str, dict[int, int]] = {}
        self.sums: dict[str, tuple[int, int, int]] = {}

    def watch(self, source: Rows, progress: Progress | None) -> Iterator[Row]:
        """The rows as they are read, every 500th one noted in the index."""
        for position, row in enumerate(source):
            if position % EVERY == 0:
                self.report.index.append(Start(row.file, row.offset, row.number))
                if progress and source.stream is not None:
                    progress(min(source.stream.position, self.report.size_bytes), self.report.size_bytes)
            yield row

    def add(self, row: Row) -> None:
        report = self.report
        report.readable_rows += 1
        report.file_rows[row.file] = report.file_rows.get(row.file, 0) + 1
        for name, value in row.value.items():
            if name in self.fields or len(self.fields) < MOST_FIELDS:
                self._add_value(name, value)
        reason = validate(report.format, row.value) if report.format else None
        if reason is None:
            report.good_rows += 1
        else:
            self.unfit.add(row.number, row.offset, reason, row.file)

    def _add_value(self, name: str, value: Any) -> None:
        kinds = self.fields.setdefault(name, {})
        if value is None or value == "" or value == []:
            return
        kind = KINDS.get(type(value), "text")
        kinds[kind] = kinds.get(kind, 0) + 1
        self.filled[name] = self.filled.get(name, 0) + 1
        if name not in self.examples:
            self.examples[name] = str(value)[:EXAMPLE]
        length = _length(value)
        if length is not None:
            bins = self.lengths.setdefault(name, {})
            rounded = _rounded(length)
            bins[rounded] = bins.get(rounded, 0) + 1
            total, least, most = self.sums.get(name, (0, length, length))
            self.sums[name] = (total + length, min(least, length), max(most, length))

    def finish(self, source: Rows) -> None:
        report = self.report
        report.rows = report.readable_rows + source.problems.total
        report.files = source.files
        report.notes = [note for facts in source.files for note in facts.notes]
        order = {facts.name: i for i, facts in enumerate(source.files)}
        both = [*source.problems.first, *self.unfit.first]
        report.problems = sorted(both, key=lambda p: (order.get(p.file, 0), p.row))[:1000]
        counts = [*source.problems.counts.values(), *self.unfit.counts.values()]
        report.problem_counts = sorted(counts, key=lambda c: -c.count)
        n = max(report.readable_rows, 1)
        report.fields = [
            Field(name, kinds, self.filled.get(name, 0) / n, self.examples.get(name, ""))
            for name, kinds in self.fields.items()
        ]
        report.lengths = [_lengths(name, bins, self.sums[name]) for name, bins in self.lengths.items()]
        if len(self.fields) >= MOST_FIELDS:
            report.notes.append(text("Rows have very many different fields; the first {n} are listed.", n=MOST_FIELDS))


def _length(value: Any) -> int | None:
    """Characters of a text or of all messages of a chat; None for anything else."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        contents = (m.get("content", m.get("value")) for m in value if isinstance(m, dict))
        return sum(len(c) for c in contents if isinstance(c, str))
    return None


def _rounded(length: int) -> int:
    """Eight significant bits, so that a field needs a few thousand counters at most."""
    shift = max(length.bit_length() - 8, 0)
    return length >> shift << shift


def _lengths(name: str, bins: dict[int, int], sums: tuple[int, int, int]) -> Lengths:
    total, least, most = sums
    rows = sum(bins.values())
    histogram: dict[int, int] = {}
    for length, n in bins.items():
        upper = (1 << length.bit_length()) - 1
        histogram[upper] = histogram.get(upper, 0) + n
    p50, p95 = _percentile(bins, rows, 0.5), _percentile(bins, rows, 0.95)
    return Lengths(name, rows, least, round(total / rows, 1), p50, p95, most, sorted(histogram.items()))


def _percentile(bins: dict[int, int], rows: int, share: float) -> int:
    seen = 0
    for length in sorted(bins):
        seen += bins[length]
        if seen >= share * rows:
            return length
    return 0

"""Metrics of jobs as CSV, never whole in memory: a column a metric for one job, a row a point for several."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from platform_core.metrics.export import WINDOW_CHUNKS, harmless, rows
from platform_core.metrics.reader import Reader

PIECE = 2000
"""Rows that are written at once."""


class _Text:
    """What `csv.writer` writes to: keeps the text until it is taken."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> int:
        self.parts.append(text)
        return len(text)

    def take(self) -> str:
        text = "".join(self.parts)
        self.parts.clear()
        return text


def wide(path: Path) -> Iterator[str]:
    """`step,time,<metric>,…`, one line a step, as pieces of text."""
    return _pieces(rows(path))


def long(runs: Sequence[tuple[str, str, Path]]) -> Iterator[str]:
    """`job,name,metric,step,value`, one line a point, of (id, name, metrics file) of each job."""
    return _pieces(_long(runs))


def _long(runs: Sequence[tuple[str, str, Path]]) -> Iterator[Sequence[object]]:
    yield "job", "name", "metric", "step", "value"
    for job_id, name, path in runs:
        with Reader(path) as run:
            metrics = run.names()
        for metric in metrics:
            low: int | None = None
            while True:
                with Reader(path) as run:
                    high = run.window_end(low, WINDOW_CHUNKS)
                    steps, values = run.points(metric, low, high)
                for step, value in zip(steps.tolist(), values.tolist(), strict=True):
                    yield job_id, harmless(name), harmless(metric), step, value
                if high is None:
                    break
                low = high + 1


def _pieces(lines: Iterator[Sequence[object]]) -> Iterator[str]:
    text = _Text()
    writer = csv.writer(text, lineterminator="\n")
    for at, line in enumerate(lines, 1):
        writer.writerow(line)
        if at % PIECE == 0:
            yield text.take()
    yield text.take()

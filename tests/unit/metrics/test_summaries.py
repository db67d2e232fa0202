"""Kept summaries of chunks say what the file says, whatever was written, cut and written again between two reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from platform_core.metrics import summaries
from platform_core.metrics.reader import Curve, Reader
from platform_core.metrics.writer import Writer

FIELDS = ("steps", "minimum", "mean", "maximum", "bad")


def read(path: Path) -> Curve:
    with Reader(path) as run:
        return run.curve("loss", 10)


def same_as_fresh(path: Path) -> Curve:
    kept = read(path)
    summaries._kept.clear()
    fresh = read(path)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(kept, field), getattr(fresh, field))
    return fresh


def log(path: Path, first: int, last: int, value: float) -> None:
    with Writer(path) as writer:
        for step in range(first, last):
            writer.metrics(step, {"loss": value + step % 7})


def test_growth_cuts_and_late_points_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    log(path, 0, 10_000, 0.0)
    assert read(path).maximum.max() == 6
    assert (str(path), 1) in summaries._kept
    log(path, 10_000, 13_000, 10.0)
    assert read(path).maximum.max() == 16
    same_as_fresh(path)
    with Writer(path) as writer:
        writer.truncate(2_000)
    log(path, 2_001, 13_000, 20.0)
    assert same_as_fresh(path).maximum.max() == 26, "as many points as before, of other values"
    with Writer(path) as writer:
        writer.metrics(700, {"loss": 99.0})
    assert same_as_fresh(path).maximum.max() == 99


def test_only_so_many_metrics_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path) as writer:
        for step in range(1_100):
            writer.metrics(step, {f"m{at}": 1.0 for at in range(20)})
    with Reader(path) as run:
        for _round in range(2):
            for at in range(20):
                run.curve(f"m{at}", 3)
    assert 20 <= len(summaries._kept) <= summaries.KEPT

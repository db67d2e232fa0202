"""A curve of any length in few buckets, with minimum and maximum: a spike of one point is seen at every zoom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from platform_core.metrics.chunks import Column, Steps, Values
from platform_core.metrics.summaries import Summaries


@dataclass(frozen=True)
class Curve:
    """Arrays of equal length.

    `exact`: each entry is one logged point, and all three values are it, NaN and infinities included. Else each is a
    bucket that starts at its step, over its finite values (NaN where it has none); `bad` counts the others.
    """

    steps: Steps
    minimum: Values
    mean: Values
    maximum: Values
    exact: bool
    bad: NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """Rows that can be summed up further: over finite values, `count` of them, and `bad` others."""

    steps: Steps
    minimum: Values
    maximum: Values
    total: Values
    count: NDArray[np.int64]
    bad: NDArray[np.int64]


def exact(column: Column) -> Curve:
    """Every point as it is."""
    steps, values = column
    return Curve(steps, values, values, values, True, (~np.isfinite(values)).astype("i8"))


def of_points(column: Column, origin: int, width: int) -> Summary:
    """One row a bucket of `width` steps from `origin` on."""
    steps, values = column
    if not len(steps):
        nothing, none = np.empty(0, "f8"), np.empty(0, "i8")
        return Summary(none, nothing, nothing, nothing, none, none)
    edges = origin + width * np.arange((steps[0] - origin) // width, (steps[-1] - origin) // width + 1)
    starts = np.unique(np.searchsorted(steps, edges))
    size, finite = np.diff(starts, append=len(steps)), np.isfinite(values)
    whole = bool(finite.all())
    count = size if whole else np.add.reduceat(finite.astype("i8"), starts)
    shown = values if whole else np.where(finite, values, np.nan)
    with np.errstate(over="ignore"):
        total = np.add.reduceat(values if whole else np.where(finite, values, 0.0), starts)
    return Summary(
        steps[starts], np.fmin.reduceat(shown, starts), np.fmax.reduceat(shown, starts), total, count, size - count
    )


def of_chunks(sealed: Summaries, inside: slice, without: Sequence[int]) -> Summary:
    """One row a chunk of those `inside`, but not of those that start at one of `without`."""
    kept = np.flatnonzero(~np.isin(sealed.first[inside], without)) + inside.start if without else inside
    bad = sealed.bad[kept]
    return Summary(
        sealed.first[kept], sealed.minimum[kept], sealed.maximum[kept], sealed.total[kept], sealed.n[kept] - bad, bad
    )


def bucketed(parts: Sequence[Summary], origin: int, width: int) -> Curve:
    """Sum parts up into buckets of `width` steps from `origin` on; empty buckets are left out."""
    steps = np.concatenate([part.steps for part in parts])
    order = np.argsort(steps, kind="stable")
    group = (steps[order] - origin) // width
    starts = np.flatnonzero(np.diff(group, prepend=group[:1] - 1))

    def joined(name: str) -> NDArray[np.float64]:
        column: NDArray[np.float64] = np.concatenate([getattr(part, name) for part in parts])[order]
        return column

    count = np.add.reduceat(joined("count"), starts)
    with np.errstate(all="ignore"):
        mean = np.add.reduceat(joined("total"), starts) / count
    return Curve(
        steps[order][starts],
        np.fmin.reduceat(joined("minimum"), starts),
        mean,
        np.fmax.reduceat(joined("maximum"), starts),
        False,
        np.add.reduceat(joined("bad"), starts).astype("i8"),
    )

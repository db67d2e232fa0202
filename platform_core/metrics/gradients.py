"""Gradient norms by layer over the steps of a run: a bounded picture of them, and what they say about the training.

The norms are before clipping, one vector a logged step (see `runners/engines/hf/reporting.py`). Judged is the newest
part of a run, by medians over its steps, so that one odd step says nothing.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from platform_core.errors import Text, text
from platform_core.metrics.reader import Reader

BLOCK = re.compile(r"^layer\.(\d+)$")
DEAD = 1e-6
"""A layer whose norm is below this share of the median layer's learns nothing."""
VANISHING = 1e-2
"""Earliest third of the blocks against the last third: below this share, the gradient dies on its way down."""
EXPLODING = 10.0
"""Norm of the whole gradient in the newest part against the run before."""
UNEVEN = 100.0
"""Largest against smallest median norm of the blocks."""
LEAST_STEPS = 10
NEWEST = 0.2
"""Share of the steps shown that counts as the newest part."""


@dataclass(frozen=True)
class Norms:
    """`values` has the shape (steps, names): the norm of each layer's gradient; NaN where a step lacks a layer."""

    steps: NDArray[np.int64]
    names: list[str]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """One thing that the norms show: `kind` names it, `rule` says how it was found, `layers` whom it concerns."""

    kind: str
    says: Text
    rule: Text
    layers: tuple[str, ...] = ()


def read_norms(
    run: Reader, columns: int, every: int = 1, low: int | None = None, high: int | None = None
) -> Norms | None:
    """At most `columns` vectors spread over low..high, of a run that reports every `every` steps; None without any."""
    last = run.latest().get("grad_norm")
    if last is None or not run.vectors("grad_norm", high=-(2**62)).names:
        return None
    first = 1 if low is None else max(1, low)
    end = last[0] if high is None else min(high, last[0])
    if end - first < columns * every:
        found = run.vectors("grad_norm", first, end)
        return Norms(found.steps, found.names, found.values)
    stride = -(-(end - first + 1) // columns)
    pieces = [run.vectors("grad_norm", at, at + 2 * every) for at in range(first, end + 1, stride)]
    pieces = [p for p in pieces if len(p.steps)]
    names = list(dict.fromkeys(n for p in pieces for n in p.names))
    values = np.full((len(pieces), len(names)), np.nan, "f4")
    for row, piece in enumerate(pieces):
        values[row, [names.index(n) for n in piece.names]] = piece.values[0]
    return Norms(np.array([p.steps[0] for p in pieces], "i8"), names, values)


def judge(norms: Norms) -> list[Verdict]:
    """What the newest part of the norms shows, the worst first; empty when all is even or too little is known."""
    if len(norms.steps) < LEAST_STEPS:
        return []
    newest = max(LEAST_STEPS // 2, round(len(norms.steps) * NEWEST))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a layer without any value: its median is NaN
        now = np.nanmedian(norms.values[-newest:].astype("f8"), axis=0)
        total = np.sqrt(np.nansum(norms.values.astype("f8") ** 2, axis=1))
    return [v for v in (_exploding(total, newest), _dead(norms, now), *_over_blocks(norms, now)) if v is not None]


def _exploding(total: NDArray[np.float64], newest: int) -> Verdict | None:
    if not np.isfinite(total[-newest:]).all():
        return Verdict(
            "exploding",
            text("The gradient is not finite any more: the training has blown up."),
            text("A norm of the newest {n} steps is NaN or infinite.", n=newest),
        )
    before, after = float(np.median(total[:-newest])), float(np.median(total[-newest:]))
    if before <= 0 or after < EXPLODING * before:
        return None
    return Verdict(
        "exploding",
        text(
            "The gradient explodes: its norm is {ratio:.0f} times what it was before. Lower the learning rate.",
            ratio=after / before,
        ),
        text(
            "Median norm of the newest {n} steps shown: {after:.3g}; of those before: {before:.3g}; limit {limit:g} ×.",
            n=newest,
            after=after,
            before=before,
            limit=EXPLODING,
        ),
    )


def _dead(norms: Norms, now: NDArray[np.float64]) -> Verdict | None:
    typical = float(np.nanmedian(now)) if np.isfinite(now).any() else 0.0
    dead = tuple(n for n, v in zip(norms.names, now, strict=True) if v <= DEAD * typical)
    if not dead or typical <= 0:
        return None
    return Verdict(
        "dead",
        text("These layers get no gradient and learn nothing: {layers}.", layers=", ".join(dead)),
        text("Median norm below {share:g} of the median layer's, {typical:.3g}.", share=DEAD, typical=typical),
        dead,
    )


def _over_blocks(norms: Norms, now: NDArray[np.float64]) -> list[Verdict]:
    blocks = sorted((int(m[1]), at) for at, name in enumerate(norms.names) if (m := BLOCK.match(name)))
    values = np.array([now[at] for _, at in blocks])
    names = tuple(norms.names[at] for _, at in blocks)
    if len(values) < 3 or not np.isfinite(values).all() or not (values > 0).all():
        return []
    third = max(1, len(values) // 3)
    low, high = float(np.median(values[:third])), float(np.median(values[-third:]))
    if low < VANISHING * high:
        return [
            Verdict(
                "vanishing",
                text(
                    "The gradient vanishes on its way to the first blocks: they learn {ratio:.0f} times less than "
                    "the last ones.",
                    ratio=high / low,
                ),
                text(
                    "Median norm of the first third of the blocks: {low:.3g}; of the last third: {high:.3g}; "
                    "limit {limit:g} of it.",
                    low=low,
                    high=high,
                    limit=VANISHING,
                ),
                names[:third],
            )
        ]
    most, least = int(values.argmax()), int(values.argmin())
    if values[most] < UNEVEN * values[least]:
        return []
    return [
        Verdict(
            "uneven",
            text(
                "The blocks learn unevenly: {most} gets {ratio:.0f} times the gradient of {least}.",
                most=names[most],
                least=names[least],
                ratio=float(values[most] / values[least]),
            ),
            text("Largest against smallest median norm of the blocks; limit {limit:g} ×.", limit=UNEVEN),
            (names[most], names[least]),
        )
    ]

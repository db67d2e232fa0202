"""How the rewards of a batch were spread, over the steps of a run: shares of completions by reward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from platform_core.metrics.reader import Reader

COLUMNS, BINS = 120, 12


@dataclass(frozen=True)
class Shares:
    """`shares` (rewards, steps) sum to 1 at each step; `edges` are the rewards themselves, or bounds of ranges."""

    steps: NDArray[np.int64]
    edges: NDArray[np.float64]
    shares: NDArray[np.float32]

    def labels(self) -> list[str]:
        """What each row is, from the least reward up."""
        if len(self.edges) == len(self.shares):
            return [f"{edge:g}" for edge in self.edges]
        return [f"{low:.3g} – {high:.3g}" for low, high in zip(self.edges, self.edges[1:], strict=False)]


def reward_shares(run: Reader, last: int, every: int = 1) -> Shares | None:
    """Shares at no more than `COLUMNS` steps up to `last`, of a run that reports every `every`; None without rewards.

    Runs with at most `BINS` different rewards get a row for each, others `BINS` ranges of equal width.
    """
    stride = max(every, -(-last // COLUMNS))
    found = []
    for at in range(1, last + 1, stride):
        piece = run.vectors("reward", at, at + stride - 1)
        if len(piece.steps):
            row = piece.values[0]
            found.append((int(piece.steps[0]), row[np.isfinite(row)].astype("f8")))
    found = [(step, row) for step, row in found if len(row)]
    if not found:
        return None
    rewards = np.concatenate([row for _, row in found])
    distinct = np.unique(rewards.round(6))
    if len(distinct) <= BINS:
        edges = distinct
        counts = [[float((np.abs(row - edge) < 1e-5).mean()) for edge in edges] for _, row in found]
    else:
        edges = np.linspace(float(rewards.min()), float(rewards.max()), BINS + 1)
        counts = [(np.histogram(row, edges)[0] / len(row)).tolist() for _, row in found]
    return Shares(np.array([step for step, _ in found], "i8"), edges, np.array(counts, "f4").T)

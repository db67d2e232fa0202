"""Settings of every training on pairs of a chosen and a rejected answer."""

from __future__ import annotations

from typing import ClassVar

from platform_core.algorithms.training import TrainingSpec
from platform_core.jobs.spec import setting


class PairSpec(TrainingSpec):
    """Batch and length where a row is two sequences."""

    sequences_per_row: ClassVar[int] = 2

    batch_size: int = setting(
        32,
        title="Batch size",
        help="Pairs in one forward pass: two sequences each. Guides recommend 32 to 128 pairs an update, gradient "
        "accumulation included.",
        group="Optimizer",
        unit="pairs",
        ge=1,
        le=65_536,
    )
    max_length: int = setting(
        1024,
        title="Sequence length",
        help="Longer answers are cut at the end; pairs whose prompt leaves no room for an answer are left out.",
        group="Optimizer",
        unit="tokens",
        ge=8,
        le=10_000_000,
    )

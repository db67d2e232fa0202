"""ORPO: the cross-entropy of the chosen answers and the odds of chosen over rejected ones, in one loss."""

from __future__ import annotations

from platform_core.algorithms.orpo import ORPOSpec
from runners.engines.hf.preference import train_on_pairs
from runners.engines.hf.preference_trainer import PairLoss
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's ORPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, ORPOSpec)
    return train_on_pairs(run, report, spec, PairLoss("orpo", beta=spec.odds_weight))

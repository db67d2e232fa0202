"""DPO, IPO, cDPO and SimPO on pairs of a chosen and a rejected answer."""

from __future__ import annotations

from platform_core.algorithms.dpo import DPOSpec
from runners.engines.hf.preference import train_on_pairs
from runners.engines.hf.preference_trainer import PairLoss
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's DPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, DPOSpec)
    loss = PairLoss(
        spec.loss,
        beta=spec.simpo_beta if spec.loss == "simpo" else spec.beta,
        label_smoothing=spec.label_smoothing,
        margin=spec.simpo_margin,
    )
    return train_on_pairs(run, report, spec, loss)

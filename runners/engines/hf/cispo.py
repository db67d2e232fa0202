"""CISPO (MiniMax 2025) on TRL's GRPOTrainer: the clipped ratio weighs a token's log-probability, without a gradient."""

from __future__ import annotations

from trl.trainer.grpo_config import GRPOConfig

from platform_core.algorithms.cispo import CISPOSpec
from runners.engines.hf.grpo import GroupTrainer
from runners.engines.hf.rollout import learn
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's CISPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, CISPOSpec)
    return learn(run, report, GroupTrainer, GRPOConfig, loss_type="cispo", entropy_coef=spec.entropy_coef)

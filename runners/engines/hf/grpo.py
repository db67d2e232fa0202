"""GRPO (Shao et al. 2024), Dr. GRPO (Liu et al. 2025) and DAPO's loss (Yu et al. 2025) on TRL's GRPOTrainer."""

from __future__ import annotations

from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from platform_core.algorithms.grpo import GRPOSpec
from runners.engines.hf.rollout import Rollouts, learn
from runners.job import Run
from runners.report import Report


class GroupTrainer(Rollouts, GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that resumes exactly and shows its rollouts."""


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's GRPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, GRPOSpec)
    return learn(
        run,
        report,
        GroupTrainer,
        GRPOConfig,
        loss_type=spec.loss_type,
        scale_rewards=spec.scaling,
        entropy_coef=spec.entropy_coef,
        use_bias_correction_kl=spec.kl_correction,
    )

"""GSPO (Zheng et al. 2025) on TRL's GRPOTrainer: one ratio a sequence, the mean loss of sequences."""

from __future__ import annotations

from trl.trainer.grpo_config import GRPOConfig

from platform_core.algorithms.gspo import GSPOSpec
from runners.engines.hf.grpo import GroupTrainer
from runners.engines.hf.rollout import learn
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's GSPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, GSPOSpec)
    return learn(
        run,
        report,
        GroupTrainer,
        GRPOConfig,
        importance_sampling_level="sequence",
        loss_type="grpo",
        entropy_coef=spec.entropy_coef,
        use_bias_correction_kl=spec.kl_correction,
    )

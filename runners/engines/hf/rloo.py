"""RLOO (Ahmadian et al. 2024) on TRL's RLOOTrainer."""

from __future__ import annotations

from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from platform_core.algorithms.rloo import RLOOSpec
from runners.engines.hf.rollout import Rollouts, learn
from runners.job import Run
from runners.report import Report


class LeaveOneOutTrainer(Rollouts, RLOOTrainer):  # type: ignore[misc]
    """RLOOTrainer that resumes exactly and shows its rollouts."""


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's RLOOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, RLOOSpec)
    return learn(run, report, LeaveOneOutTrainer, RLOOConfig, normalize_advantages=spec.normalize_advantages)

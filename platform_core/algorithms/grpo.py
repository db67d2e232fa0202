"""GRPO: group relative policy optimization (Shao et al. 2024, DeepSeekMath), on TRL's GRPOTrainer."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import RolloutSpec
from platform_core.jobs.spec import setting


class GRPOSpec(RolloutSpec):
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = setting(
        "dapo",
        title="Loss",
        help="How token losses are averaged: dapo over the global batch, grpo a sequence, dr_grpo by a constant, "
        "bnpo over the local batch.",
        group="Rollout",
        advanced=True,
        labels={"dapo": "DAPO", "grpo": "GRPO", "dr_grpo": "Dr. GRPO", "bnpo": "BNPO"},
    )


ALGORITHM = Algorithm(
    name="grpo",
    title="GRPO",
    summary="Let a model try, and reward what is right: for tasks whose answer can be checked.",
    icon="emoji_events",
    role="train",
    spec=GRPOSpec,
    program="train",
    metrics=("reward", "reward_std", "completions/mean_length", "entropy", "loss", "grad_norm"),
    dataset_format="grpo",
    order=40,
)

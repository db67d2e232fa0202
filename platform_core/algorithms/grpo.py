"""GRPO: group relative policy optimization (Shao et al. 2024, DeepSeekMath), with its variants Dr. GRPO and DAPO."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import KLLossSpec
from platform_core.jobs.spec import setting


class GRPOSpec(KLLossSpec):
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = setting(
        "dapo",
        title="Loss",
        help="How token losses are averaged. DAPO: over the tokens of the global batch. GRPO: within each sequence "
        "first. Dr. GRPO: by a constant, so that long answers are not favoured (Liu et al. 2025). BNPO: over the "
        "tokens of a forward pass.",
        group="Rollout",
        labels={"dapo": "DAPO", "grpo": "GRPO", "dr_grpo": "Dr. GRPO", "bnpo": "BNPO"},
    )
    scale_rewards: Literal["auto", "group", "batch", "none"] = setting(
        "auto",
        title="Advantages divided by",
        help="The standard deviation of the group's rewards, which favours prompts that are nearly solved or nearly "
        "hopeless; that of the whole rollout; or nothing. By the loss: nothing for Dr. GRPO, else the group's.",
        group="Rollout",
        advanced=True,
        labels={"auto": "By the loss", "group": "Group", "batch": "Rollout", "none": "Nothing"},
    )

    @property
    def scaling(self) -> str:
        """`scale_rewards` as it is used."""
        if self.scale_rewards != "auto":
            return self.scale_rewards
        return "none" if self.loss_type == "dr_grpo" else "group"


ALGORITHM = Algorithm(
    name="grpo",
    title="GRPO",
    summary="Let a model try, and reward what is right: for tasks whose answer can be checked.",
    icon="emoji_events",
    role="train",
    learns_from="rewards",
    spec=GRPOSpec,
    program="train",
    metrics=("reward", "reward_std", "completions/mean_length", "entropy", "kl", "loss", "grad_norm"),
    dataset_format="grpo",
    engines=("hf", "verl"),
    order=40,
)

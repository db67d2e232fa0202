"""REINFORCE++: REINFORCE with PPO's clip, advantages normalized over the batch (Hu et al. 2025, arXiv 2501.03262)."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import EntropySpec, kl_coef_field
from platform_core.jobs.spec import setting


class ReinforcePPSpec(EntropySpec):
    adv_estimator = "reinforce_plus_plus"
    kl_in_reward = True

    engine: Literal["verl"] = setting(
        "verl", title="Engine", help="REINFORCE++ runs on verl only.", labels={"verl": "verl"}
    )
    num_generations: int = setting(
        4,
        title="Group size",
        help="Completions for each prompt. They are not compared with each other, but with all of the batch.",
        group="Rollout",
        ge=1,
        le=1024,
        recommended=(1, 16),
    )
    baseline: Literal["batch", "group"] = setting(
        "batch",
        title="Baseline",
        help="The mean of the batch (REINFORCE++), or first that of the prompt's other answers, then of the batch "
        "(REINFORCE++-baseline, for rewards of 0 and 1).",
        group="Rollout",
        labels={"batch": "The batch", "group": "The group, then the batch"},
    )
    kl_coef: float = kl_coef_field(0.01, "each token", (0.001, 0.1))


ALGORITHM = Algorithm(
    name="reinforce_pp",
    title="REINFORCE++",
    summary="PPO without a critic: rewards against the mean of the whole batch, clipped as PPO does.",
    icon="add_chart",
    role="train",
    learns_from="rewards",
    spec=ReinforcePPSpec,
    program="train",
    metrics=("reward", "reward_std", "completions/mean_length", "entropy", "kl", "grad_norm"),
    dataset_format="grpo",
    engines=("verl",),
    order=45,
)

"""RLOO: REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv 2402.14740)."""

from __future__ import annotations

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import RolloutSpec, kl_coef_field
from platform_core.jobs.spec import setting


class RLOOSpec(RolloutSpec):
    adv_estimator = "rloo"
    kl_in_reward = True

    num_generations: int = setting(
        4,
        title="Group size",
        help="Completions for each prompt; the mean reward of the others is the baseline of each.",
        group="Rollout",
        ge=2,
        le=1024,
        recommended=(2, 16),
    )
    kl_coef: float = kl_coef_field(0.05, "a whole completion", (0.01, 0.1))
    normalize_advantages: bool = setting(
        False,
        title="Normalize advantages",
        help="To mean 0 and standard deviation 1 over the rollout; the paper does without.",
        group="Rollout",
        advanced=True,
    )


ALGORITHM = Algorithm(
    name="rloo",
    title="RLOO",
    summary="REINFORCE whose baseline is the other answers to the same prompt: simple, unbiased, no critic.",
    icon="group_remove",
    role="train",
    learns_from="rewards",
    spec=RLOOSpec,
    program="train",
    metrics=("reward", "reward_std", "completions/mean_length", "entropy", "kl", "grad_norm"),
    dataset_format="grpo",
    engines=("hf", "verl"),
    order=42,
)

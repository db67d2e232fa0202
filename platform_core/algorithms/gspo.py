"""GSPO: group sequence policy optimization (Zheng et al. 2025, arXiv 2507.18071)."""

from __future__ import annotations

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import KLLossSpec
from platform_core.jobs.spec import setting


class GSPOSpec(KLLossSpec):
    policy_loss = "gspo"
    loss_average = "grpo"

    minibatches: int = setting(
        4,
        title="Minibatches",
        help="A rollout is so many global batches, trained on one after the other (4 in the paper): from the second on "
        "they are of an older policy, which is what GSPO is made for. A job pauses between rollouts only.",
        group="Rollout",
        ge=1,
        le=256,
        recommended=(2, 16),
    )
    clip_epsilon: float = setting(
        3e-4,
        title="Clip range",
        help="ε of a sequence's ratio, the geometric mean of its tokens' ratios: far narrower than for tokens (3e-4 in "
        "the paper).",
        group="Rollout",
        gt=0,
        lt=1,
        scientific=True,
        recommended=(1e-4, 1e-2),
    )
    clip_epsilon_high: float | None = setting(
        4e-4,
        title="Clip range above",
        empty="as below",
        help="ε for ratios above 1 (4e-4 in the paper). Empty: the same as below.",
        group="Rollout",
        gt=0,
        lt=10,
        scientific=True,
    )


ALGORITHM = Algorithm(
    name="gspo",
    title="GSPO",
    summary="GRPO that weighs and clips whole answers, not tokens: steadier for long answers and mixtures of experts.",
    icon="stacks",
    role="train",
    learns_from="rewards",
    spec=GSPOSpec,
    program="train",
    metrics=("reward", "reward_std", "completions/mean_length", "entropy", "clip_ratio/region_mean", "kl", "grad_norm"),
    dataset_format="grpo",
    engines=("hf", "verl"),
    order=41,
)

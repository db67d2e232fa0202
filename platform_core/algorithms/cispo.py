"""CISPO: clipped importance-sampling policy optimization (arXiv 2506.13585; ScaleRL, arXiv 2510.13786)."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import KLLossSpec
from platform_core.jobs.spec import setting


class CISPOSpec(KLLossSpec):
    engine: Literal["hf"] = setting("hf", title="Engine", help="CISPO runs on hf only.", labels={"hf": "hf"})
    minibatches: int = setting(
        4,
        title="Minibatches",
        help="A rollout is so many global batches, trained on one after the other: from the second on they are of an "
        "older policy, which is what the bounded weights are for. A job pauses between rollouts only.",
        group="Rollout",
        ge=1,
        le=256,
        recommended=(2, 16),
    )
    clip_epsilon_high: float = setting(
        5.0,
        title="Largest weight",
        help="A token's probability ratio counts at most this much; beyond it the token goes on teaching with that "
        "weight (5 in ScaleRL).",
        group="Rollout",
        gt=1,
        le=100,
        step=0.5,
        recommended=(2, 10),
    )


ALGORITHM = Algorithm(
    name="cispo",
    title="CISPO",
    summary="GRPO that bounds how much a token counts in place of ignoring it: rare, decisive tokens go on teaching.",
    icon="tune",
    role="train",
    learns_from="rewards",
    spec=CISPOSpec,
    program="train",
    metrics=("reward", "reward_std", "completions/mean_length", "entropy", "cispo_clip_ratio", "kl", "grad_norm"),
    dataset_format="grpo",
    order=42,
)

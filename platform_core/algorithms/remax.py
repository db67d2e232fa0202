"""ReMax: REINFORCE with the reward of the greedy answer as the baseline (Li et al. 2023, arXiv 2310.10505)."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import EntropySpec
from platform_core.jobs.spec import setting


class ReMaxSpec(EntropySpec):
    engine: Literal["verl"] = setting("verl", title="Engine", help="ReMax runs on verl only.", labels={"verl": "verl"})
    num_generations: int = setting(
        1,
        title="Group size",
        help="Completions for each prompt, besides the greedy one that is their baseline.",
        group="Rollout",
        ge=1,
        le=1024,
        recommended=(1, 8),
    )
    kl_coef: float = setting(
        0.01,
        title="KL coefficient",
        help="The KL of each token to the start model, times this, is taken off its reward. 0 needs no reference model "
        "and saves its memory.",
        group="Rollout",
        ge=0,
        le=10,
        step=0.01,
        recommended=(0.001, 0.1),
    )


ALGORITHM = Algorithm(
    name="remax",
    title="ReMax",
    summary="REINFORCE against the model's own greedy answer: one completion a prompt is enough, no critic.",
    icon="vertical_align_top",
    role="train",
    spec=ReMaxSpec,
    program="train",
    metrics=("reward", "completions/mean_length", "entropy", "kl", "grad_norm"),
    dataset_format="grpo",
    engines=("verl",),
    order=46,
)

"""SPO: single-stream policy optimization (Xu and Ding 2025, arXiv 2509.13232)."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import KLLossSpec, clip_above_field
from platform_core.jobs.spec import cross_field, setting


class SPOSpec(KLLossSpec):
    one_process = True

    engine: Literal["hf"] = setting("hf", title="Engine", help="SPO runs on hf only.", labels={"hf": "hf"})
    num_generations: int = setting(
        1,
        title="Group size",
        help="Completions for each prompt: 1 is the single stream of the paper. The baseline is what is remembered of "
        "the prompt, so that none has to wait for others.",
        group="Rollout",
        ge=1,
        le=1024,
        recommended=(1, 4),
    )
    clip_epsilon_high: float | None = clip_above_field(0.28)
    prioritized: bool = setting(
        True,
        title="Draw uncertain prompts more often",
        help="Prompts are drawn in proportion to √(v(1 − v)) + ε, v being their tracked success rate: neither solved "
        "nor hopeless ones take the time. Off: in the dataset's shuffled order.",
        group="Value tracker",
    )
    exploration: float = setting(
        0.05,
        title="Least weight",
        help="ε: what a prompt that is always or never solved still weighs.",
        group="Value tracker",
        advanced=True,
        gt=0,
        le=10,
        step=0.01,
        recommended=(0.01, 0.2),
        shown_if={"prioritized": (True,)},
    )
    kl_half: float = setting(
        0.06,
        title="Half-life in KL",
        help="A prompt's past counts half when the policy's answers to it have moved by this KL (nats a token) since "
        "its last visit.",
        group="Value tracker",
        advanced=True,
        gt=0,
        le=100,
        step=0.01,
        recommended=(0.01, 0.5),
    )
    rho_min: float = setting(
        0.875,
        title="Least memory",
        help="The least that a prompt's past is multiplied by at a visit: it remembers about 1 / (1 − this) answers, 8 "
        "with 0.875.",
        group="Value tracker",
        advanced=True,
        ge=0,
        lt=1,
        step=0.005,
    )
    rho_max: float = setting(
        0.96,
        title="Most memory",
        help="The most: a prompt remembers at most about 1 / (1 − this) answers, 25 with 0.96.",
        group="Value tracker",
        advanced=True,
        ge=0,
        lt=1,
        step=0.005,
    )
    prior_weight: float = setting(
        2.0,
        title="Weight of the first guess",
        help="A prompt that was never visited begins with the mean reward so far, counted as so many answers.",
        group="Value tracker",
        advanced=True,
        unit="answers",
        gt=0,
        le=1000,
        step=0.5,
        recommended=(1, 8),
    )

    @model_validator(mode="after")
    def memory_has_a_range(self) -> SPOSpec:
        if self.rho_min > self.rho_max:
            raise cross_field(
                "The least memory {rho_min} is above the most {rho_max}.",
                "rho_min",
                "rho_max",
                rho_min=self.rho_min,
                rho_max=self.rho_max,
            )
        return self


ALGORITHM = Algorithm(
    name="spo",
    title="SPO",
    summary="One answer a prompt, judged by what is remembered of its prompt: no group, no critic, useful ones first.",
    icon="conversion_path",
    role="train",
    learns_from="rewards",
    spec=SPOSpec,
    program="train",
    metrics=(
        "reward",
        "tracker/abs_error",
        "tracker/baseline",
        "tracker/rho",
        "entropy",
        "completions/mean_length",
        "kl",
    ),
    dataset_format="grpo",
    order=44,
)

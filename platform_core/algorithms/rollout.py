"""Settings of every algorithm that lets the model answer prompts and learns from rewards (online RL)."""

from __future__ import annotations

import math
from typing import Any

from pydantic import model_validator

from platform_core.algorithms.engines import VerlRolloutSpec
from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.scored import ScoredSpec
from platform_core.jobs.spec import cross_field, setting


def clip_above_field(default: float | None) -> Any:
    """The field of an upper clip range that may be wider than the lower one."""
    return setting(
        default,
        title="Clip range above",
        empty="as below",
        help="ε for ratios above 1 (DAPO's clip-higher, 0.28 there): unlikely tokens may grow more, which keeps the "
        "entropy up. Empty: the same as below.",
        group="Rollout",
        advanced=True,
        gt=0,
        lt=10,
        step=0.01,
    )


def kl_coef_field(default: float, of: str, recommended: tuple[float, float]) -> Any:
    """The field of a KL coefficient where the KL of `of` to the start model is part of the reward."""
    return setting(
        default,
        title="KL coefficient",
        help=f"The KL of {of} to the start model, times this, is taken off its reward. 0 needs no reference model and "
        "saves its memory.",
        group="Rollout",
        ge=0,
        le=10,
        step=0.01,
        recommended=recommended,
    )


class RolloutSpec(VerlRolloutSpec, ScoredSpec):
    """Prompts, reward, rollouts and the pull towards the start model."""

    model: str = setting(title="Model", help="The model that learns, usually after SFT.", pick="model")
    dataset: str = setting(title="Dataset", help="Prompts with the answer that the reward checks.", pick="dataset")
    learning_rate: float = learning_rate_field(1e-6, 1e-6, 1e-5)
    batch_size: int = setting(
        16,
        title="Batch size",
        help="Completions in one forward pass. Times gradient accumulation it is the global batch, of which guides "
        "recommend 128 to 512.",
        group="Optimizer",
        unit="completions",
        ge=1,
        le=65_536,
    )
    num_generations: int = setting(
        8,
        title="Group size",
        help="Completions for each prompt; their mean reward is the baseline.",
        group="Rollout",
        ge=2,
        le=1024,
        recommended=(4, 16),
    )
    max_completion_length: int = setting(
        256,
        title="Completion length",
        help="Tokens that the model may write.",
        group="Rollout",
        unit="tokens",
        ge=1,
        le=1_000_000,
    )
    temperature: float = setting(
        1.0,
        title="Temperature",
        help="Sampling temperature of the rollouts.",
        group="Rollout",
        gt=0,
        le=5,
        step=0.1,
        recommended=(0.7, 1.2),
    )
    top_p: float = setting(
        1.0,
        title="Top p",
        help="Tokens are drawn from the likeliest ones that together have this probability. Below 1 the rollouts are "
        "no samples of the policy that is trained.",
        group="Rollout",
        advanced=True,
        gt=0,
        le=1,
        step=0.05,
        recommended=(0.9, 1.0),
    )
    mask_truncated: bool = setting(
        False,
        title="Leave out cut completions",
        help="Completions that reached the length limit carry no loss (DAPO's overlong filtering, Yu et al. 2025).",
        group="Rollout",
        advanced=True,
    )
    kl_coef: float = setting(
        0.0,
        title="KL coefficient",
        help="Pull towards the start model (β). 0 needs no reference model and saves its memory.",
        group="Rollout",
        advanced=True,
        ge=0,
        le=10,
        step=0.01,
        recommended=(0.0, 0.1),
    )
    minibatches: int = setting(
        1,
        title="Minibatches",
        help="A rollout is so many global batches, trained on one after the other: from the second on they are of an "
        "older policy, and the clip range matters. A job pauses between rollouts only.",
        group="Rollout",
        advanced=True,
        ge=1,
        le=256,
        recommended=(1, 16),
    )
    num_iterations: int = setting(
        1,
        title="Updates per rollout",
        help="Times that the same completions are trained on (μ). Above 1 the clip range matters; a job pauses between "
        "rollouts only.",
        group="Rollout",
        advanced=True,
        ge=1,
        le=64,
        recommended=(1, 4),
    )
    clip_epsilon: float = setting(
        0.2,
        title="Clip range",
        help="PPO-style clip ε of the probability ratio.",
        group="Rollout",
        advanced=True,
        gt=0,
        lt=1,
        step=0.05,
    )
    clip_epsilon_high: float | None = clip_above_field(None)

    @property
    def rollout(self) -> int:
        """Completions that are sampled at a time."""
        return self.batch_size * self.world_size * self.gradient_accumulation_steps * self.minibatches

    def total_steps(self, rows: int | None = None) -> int | None:
        if self.max_steps is not None or rows is None:
            return self.max_steps
        # TRL leaves out the prompts that do not fill a last rollout.
        rollouts = self.trained_rows(rows) // (self.rollout // self.num_generations)
        if self.engine == "verl":  # a step is a rollout with all updates on it, and only whole ones are taken
            return max(1, int(self.epochs * rollouts))
        return math.ceil(self.epochs * rollouts * self.minibatches * self.num_iterations)

    @model_validator(mode="after")
    def groups_fit(self) -> RolloutSpec:
        if self.rollout % self.num_generations:
            raise cross_field(
                "A rollout of {completions} completions (batch size × gradient accumulation × minibatches) is not a "
                "multiple of the group size {num_generations}.",
                "batch_size",
                completions=self.rollout,
                num_generations=self.num_generations,
            )
        return self

    @model_validator(mode="after")
    def advantages_have_a_spread(self) -> RolloutSpec:
        if self.rollout < 2:
            raise cross_field("A rollout needs at least 2 completions: raise the batch size.", "batch_size")
        return self


class EntropySpec(RolloutSpec):
    """Rollouts whose policy loss may have an entropy bonus."""

    entropy_coef: float = setting(
        0.0,
        title="Entropy bonus",
        help="The entropy of a token, times this, is taken off the loss: it keeps the policy trying. Too much makes it "
        "babble.",
        group="Rollout",
        advanced=True,
        ge=0,
        le=1,
        step=0.001,
        recommended=(0.0, 0.01),
    )


class KLLossSpec(EntropySpec):
    """Rollouts whose policy loss has the KL to the start model in it."""

    kl_correction: bool = setting(
        True,
        title="Weigh the KL by the ratio",
        help="The estimate of the KL (k3, Schulman 2020) times the probability ratio: its gradient is then that of the "
        "KL itself (DeepSeek-V3.2). Off: as in the GRPO paper.",
        group="Rollout",
        advanced=True,
    )

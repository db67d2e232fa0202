"""PPO: proximal policy optimization (Schulman et al. 2017) with a critic, GAE and the KL in the reward."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.rollout import EntropySpec, kl_coef_field
from platform_core.jobs.spec import cross_field, setting


class PPOSpec(EntropySpec):
    one_process = True
    adv_estimator = "gae"
    kl_in_reward = True

    learning_rate: float = learning_rate_field(1e-6, 1e-6, 5e-6, of="the policy")
    critic_learning_rate: float = setting(
        1e-5,
        title="Critic's learning rate",
        help="Peak step size of the critic's AdamW, on the same schedule. Usually 5 to 10 times the policy's: the "
        "critic has to follow the policy.",
        group="Critic",
        gt=0,
        le=1,
        scientific=True,
        recommended=(5e-6, 1e-4),
        scales=True,
    )
    critic_model: str | None = setting(
        None,
        title="Critic starts from",
        help="A reward model with the same tokenizer, whose score it begins with, or another model. Empty: the model "
        "that learns, with a value head of zeros.",
        group="Critic",
        advanced=True,
        pick="model",
    )
    critic_warmup_steps: int = setting(
        0,
        title="Critic's warm-up",
        help="Steps in which the critic alone learns, so that the policy does not follow an ignorant one.",
        group="Critic",
        unit="steps",
        ge=0,
        le=1_000_000,
    )
    gamma: float = setting(
        1.0,
        title="Discount",
        help="γ: what a reward is worth a token earlier. 1 suits answers that are judged at their end.",
        group="Critic",
        advanced=True,
        gt=0,
        le=1,
        step=0.01,
        recommended=(0.99, 1.0),
    )
    gae_lambda: float = setting(
        0.95,
        title="GAE λ",
        help="1 trusts the rewards of the sampled answer alone (no bias, noise), 0 the critic's next value alone "
        "(Schulman et al. 2016).",
        group="Critic",
        advanced=True,
        ge=0,
        le=1,
        step=0.01,
        recommended=(0.9, 1.0),
    )
    value_clip: float | None = setting(
        0.2,
        title="Value clip",
        empty="no limit",
        help="An update that moves a value further than this from what it was at the rollout gains nothing. "
        "Empty: no limit.",
        group="Critic",
        advanced=True,
        gt=0,
        le=1000,
        step=0.1,
    )
    num_generations: int = setting(
        4,
        title="Group size",
        help="Completions for each prompt. PPO compares none: the critic is the baseline.",
        group="Rollout",
        ge=1,
        le=1024,
        recommended=(1, 8),
    )
    minibatches: int = setting(
        4,
        title="Minibatches",
        help="A rollout is so many global batches, trained on one after the other: from the second on they are of an "
        "older policy, and the clip range matters. A job pauses between rollouts only.",
        group="Rollout",
        ge=1,
        le=256,
        recommended=(1, 16),
    )
    clip_epsilon: float = setting(
        0.2,
        title="Clip range",
        help="ε of the probability ratio: an update that moves a token's probability further than this gains nothing.",
        group="Rollout",
        gt=0,
        lt=1,
        step=0.05,
        recommended=(0.1, 0.3),
    )
    kl_coef: float = kl_coef_field(0.05, "each token", (0.01, 0.1))
    kl_estimator: Literal["k1", "k2", "k3"] = setting(
        "k1",
        title="KL estimator",
        help="Of one sampled token (Schulman 2020), d being the difference of log-probabilities. k1: d, unbiased and "
        "noisy. k2: d²/2, biased, never negative. k3: e⁻ᵈ + d − 1, unbiased and never negative.",
        group="Rollout",
        advanced=True,
        labels={"k1": "k1", "k2": "k2", "k3": "k3"},
    )

    @model_validator(mode="after")
    def policy_learns(self) -> PPOSpec:
        if self.max_steps is not None and self.critic_warmup_steps >= self.max_steps:
            raise cross_field(
                "The critic's warm-up of {warmup} steps leaves none of the {max_steps} steps to the policy: lower it.",
                "critic_warmup_steps",
                warmup=self.critic_warmup_steps,
                max_steps=self.max_steps,
            )
        return self


ALGORITHM = Algorithm(
    name="ppo",
    title="PPO",
    summary="A critic, a second model, learns what each token of an answer is worth: credit goes where it is due.",
    icon="rate_review",
    role="train",
    learns_from="rewards",
    spec=PPOSpec,
    program="train",
    metrics=(
        "reward",
        "value/explained_variance",
        "value/loss",
        "kl",
        "entropy",
        "completions/mean_length",
        "grad_norm",
    ),
    dataset_format="grpo",
    engines=("hf", "verl"),
    order=43,
)

"""Reward model: a score for any answer, learned from pairs (Ouyang et al. 2022), on TRL's RewardTrainer."""

from __future__ import annotations

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.pairs import PairSpec
from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import setting


class RewardModelSpec(PairSpec):
    model: str = setting(
        title="Model", help="Its layers are kept and get a head that gives one number; usually after SFT.", pick="model"
    )
    dataset: str = setting(title="Dataset", help="Pairs of a chosen and a rejected answer.", pick="dataset")
    center_rewards: float = setting(
        0.0,
        title="Centering",
        help="Pulls the mean score towards 0 (Eisenstein et al. 2023), so that scores of different reward models can "
        "be added; 0 turns it off.",
        group="Preference",
        ge=0,
        le=10,
        step=0.01,
        recommended=(0.0, 0.1),
    )
    learning_rate: float = learning_rate_field(1e-5, 5e-6, 2e-5)
    max_length: int = setting(
        1024,
        title="Sequence length",
        help="Longer pairs are left out: the score of half an answer says nothing about the whole one.",
        group="Optimizer",
        unit="tokens",
        ge=8,
        le=10_000_000,
    )


ALGORITHM = Algorithm(
    name="reward_model",
    title="Reward model",
    summary="Learn to score answers from pairs of a better and a worse one: the reward of a later PPO or GRPO.",
    icon="grade",
    role="train",
    learns_from="preferences",
    spec=RewardModelSpec,
    program="train",
    metrics=("accuracy", "margin", "loss", "mean_reward", "grad_norm", "learning_rate"),
    dataset_format="reward_model",
    order=56,
    makes="reward_model",
)

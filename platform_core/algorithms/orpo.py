"""ORPO: odds ratio preference optimization (Hong et al. 2024), SFT and preference in one loss."""

from __future__ import annotations

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.pairs import PairSpec
from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import setting


class ORPOSpec(PairSpec):
    model: str = setting(title="Model", help="The model that learns; a base model will do.", pick="model")
    dataset: str = setting(title="Dataset", help="Prompts with a chosen and a rejected answer.", pick="dataset")
    odds_weight: float = setting(
        0.1,
        title="Odds weight",
        help="Weight of the odds ratio beside the cross-entropy of the chosen answer (λ).",
        group="Preference",
        gt=0,
        le=10,
        step=0.05,
        recommended=(0.1, 0.5),
    )
    learning_rate: float = learning_rate_field(5e-6, 5e-6, 1e-5)


ALGORITHM = Algorithm(
    name="orpo",
    title="ORPO",
    summary="Learn to answer and to prefer at once, from pairs alone: no SFT before it, no reference model.",
    icon="balance",
    role="train",
    learns_from="preferences",
    spec=ORPOSpec,
    program="train",
    metrics=("rewards/accuracies", "log_odds_ratio", "nll_loss", "loss", "logps/chosen", "logps/rejected"),
    dataset_format="dpo",
    order=54,
)

"""KTO: Kahneman-Tversky optimization (Ethayarajh et al. 2024) on answers rated good or bad, on TRL's KTOTrainer."""

from __future__ import annotations

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.training import TrainingSpec
from platform_core.jobs.spec import setting


class KTOSpec(TrainingSpec):
    model: str = setting(title="Model", help="The model that learns, usually after SFT.", pick="model")
    dataset: str = setting(title="Dataset", help="Answers, each with a thumb up or down.", pick="dataset")
    beta: float = setting(
        0.1,
        title="Beta",
        help="How strongly the model is held near its start (β): higher holds it tighter.",
        group="Preference",
        gt=0,
        le=100,
        step=0.05,
        recommended=(0.1, 0.5),
    )
    desirable_weight: float = setting(
        1.0,
        title="Weight of good answers",
        help="Where one kind is rarer, weigh it up: good × their number should be 1 to 4/3 of bad × theirs.",
        group="Preference",
        advanced=True,
        gt=0,
        le=1000,
        step=0.1,
    )
    undesirable_weight: float = setting(
        1.0,
        title="Weight of bad answers",
        help="Beside the weight of the good ones.",
        group="Preference",
        advanced=True,
        gt=0,
        le=1000,
        step=0.1,
    )
    learning_rate: float = learning_rate_field(1e-6, 5e-7, 5e-6)
    batch_size: int = setting(
        32,
        title="Batch size",
        help="Answers in one forward pass, at least 2: each one's KL is measured with the prompt of another. "
        "Guides recommend 8 or more in a pass, 32 to 128 an update.",
        group="Optimizer",
        unit="rows",
        ge=2,
        le=65_536,
    )
    max_length: int = setting(
        1024,
        title="Sequence length",
        help="Longer answers are cut at the end; rows whose prompt leaves no room for an answer are left out.",
        group="Optimizer",
        unit="tokens",
        ge=8,
        le=10_000_000,
    )

    @property
    def has_reference(self) -> bool:
        """Whether a second model is kept as it was; an adapter is taken off instead."""
        return self.tuning == "full"


ALGORITHM = Algorithm(
    name="kto",
    title="KTO",
    summary="Teach a model from thumbs up and down: one rated answer a row, no pairs needed.",
    icon="thumb_up",
    role="train",
    learns_from="preferences",
    spec=KTOSpec,
    program="train",
    metrics=("rewards/margins", "rewards/chosen", "rewards/rejected", "kl", "loss", "grad_norm"),
    dataset_format="kto",
    order=52,
)

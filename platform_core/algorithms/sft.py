"""Supervised fine-tuning: learn to answer prompts, loss on the answers (TRL's SFTTrainer)."""

from __future__ import annotations

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.training import TrainingSpec
from platform_core.jobs.spec import setting


class SFTSpec(TrainingSpec):
    model: str = setting(title="Model", help="The model that learns.", pick="model")
    dataset: str = setting(title="Dataset", help="Rows with a prompt and the answer to learn.", pick="dataset")
    learning_rate: float = setting(
        2e-5,
        title="Learning rate",
        help="Peak step size of AdamW. Guides recommend 1e-5 to 5e-5 for models of a billion parameters; "
        "tiny ones take far more.",
        group="Optimizer",
        gt=0,
        le=1,
        scientific=True,
        recommended=(1e-5, 5e-5),
    )
    batch_size: int = setting(
        8,
        title="Batch size",
        help="Rows in one forward pass (micro batch).",
        group="Optimizer",
        unit="rows",
        ge=1,
        le=65_536,
        recommended=(4, 32),
    )
    max_length: int = setting(
        1024,
        title="Sequence length",
        help="Longer rows are cut at the end.",
        group="Optimizer",
        unit="tokens",
        ge=8,
        le=10_000_000,
    )
    completion_only_loss: bool = setting(
        True,
        title="Loss on answers only",
        help="Off: the prompt's tokens carry loss, too.",
        group="Optimizer",
        advanced=True,
    )


ALGORITHM = Algorithm(
    name="sft",
    title="SFT",
    summary="Teach a model to answer: prompts with the answers you want.",
    icon="school",
    role="train",
    spec=SFTSpec,
    program="train",
    metrics=("loss", "mean_token_accuracy", "grad_norm", "learning_rate"),
    dataset_format="sft",
    order=30,
)

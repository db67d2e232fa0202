"""Settings that all training algorithms of the `hf` engine share (names follow transformers' TrainingArguments)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from platform_core.jobs.spec import JobSpec, cross_field, setting


class TrainingSpec(JobSpec):
    """Optimizer, schedule, length and checkpoints of a gradient-based training."""

    max_steps: int | None = setting(
        None,
        title="Steps",
        help="Optimizer updates. Empty: as many as the epochs need.",
        unit="steps",
        ge=1,
        le=100_000_000,
    )
    epochs: float = setting(
        1.0,
        title="Epochs",
        help="Passes over the dataset; ignored when steps are given.",
        gt=0,
        le=10_000,
        step=0.5,
        recommended=(1, 5),
    )
    batch_size: int = setting(
        8,
        title="Batch size",
        help="Rows in one forward pass (micro batch).",
        group="Optimizer",
        unit="rows",
        ge=1,
        le=65_536,
    )
    gradient_accumulation_steps: int = setting(
        1,
        title="Gradient accumulation",
        help="Forward passes summed into one update: the global batch is this times the batch size.",
        group="Optimizer",
        unit="passes",
        advanced=True,
        ge=1,
        le=65_536,
    )
    learning_rate: float = setting(
        2e-5, title="Learning rate", help="Peak step size of AdamW.", group="Optimizer", gt=0, le=1, scientific=True
    )
    lr_scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = setting(
        "linear",
        title="Learning-rate schedule",
        help="How the learning rate goes down after the warm-up.",
        group="Optimizer",
        advanced=True,
        labels={
            "linear": "Linear to zero",
            "cosine": "Cosine to zero",
            "constant": "Constant",
            "constant_with_warmup": "Constant after warm-up",
        },
    )
    warmup_steps: int = setting(
        0,
        title="Warm-up",
        help="Steps in which the learning rate rises from zero.",
        group="Optimizer",
        unit="steps",
        advanced=True,
        ge=0,
    )
    weight_decay: float = setting(
        0.01,
        title="Weight decay",
        help="Decoupled weight decay of AdamW.",
        group="Optimizer",
        advanced=True,
        ge=0,
        le=1,
        step=0.01,
    )
    adam_beta2: float = setting(
        0.999,
        title="Adam β₂",
        help="Decay of the second moment.",
        group="Optimizer",
        advanced=True,
        gt=0,
        lt=1,
        step=0.001,
    )
    max_grad_norm: float = setting(
        1.0,
        title="Gradient clipping",
        help="Gradients are scaled down to this norm; 0 turns it off.",
        group="Optimizer",
        advanced=True,
        ge=0,
        step=0.1,
    )
    dtype: Literal["float32", "bfloat16"] = setting(
        "float32",
        title="Compute type",
        help="bfloat16: mixed precision, faster with less activation memory on GPUs; weights stay float32.",
        group="Run",
        advanced=True,
    )
    gradient_checkpointing: bool = setting(
        False,
        title="Gradient checkpointing",
        help="Less memory, about a third more compute.",
        group="Run",
        advanced=True,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", title="Device", help="auto: a GPU when there is one, else the CPU.", group="Run", advanced=True
    )
    logging_steps: int = setting(
        1,
        title="Report every",
        help="Steps between two points of the curves.",
        group="Run",
        unit="steps",
        advanced=True,
        ge=1,
    )
    save_every: int | None = setting(
        None,
        title="Checkpoint every",
        help="Steps between checkpoints. Empty: only when the job is stopped. "
        "A job that died goes on from its last whole checkpoint.",
        group="Run",
        unit="steps",
        advanced=True,
        ge=1,
    )
    save_every_minutes: float | None = setting(
        None,
        title="Checkpoint after",
        help="Minutes since the last checkpoint after which the next one is saved, besides those every so many steps. "
        "Empty: steps alone decide.",
        group="Run",
        unit="min",
        advanced=True,
        gt=0,
        le=100_000,
    )
    keep_checkpoints: int = setting(
        2,
        title="Checkpoints kept",
        help="The newest ones stay, older ones are removed.",
        group="Run",
        advanced=True,
        ge=1,
        le=1000,
    )
    keep_best: str | None = setting(
        None,
        title="Keep the best by",
        help="A metric such as `loss` or `reward`: the checkpoint with its best value stays beside the newest ones. "
        "Empty: only the newest stay.",
        group="Run",
        advanced=True,
        min_length=1,
        max_length=200,
    )
    best_is: Literal["lower", "higher"] = setting(
        "lower",
        title="Best is",
        help="Which value of that metric is the better one.",
        group="Run",
        advanced=True,
        labels={"lower": "The lowest value", "higher": "The highest value"},
    )

    def steps_for(self, batches: int) -> int:
        """Optimizer updates for `batches` micro batches an epoch, as transformers' Trainer counts them."""
        if self.max_steps is not None:
            return self.max_steps
        return math.ceil(self.epochs * max(1, math.ceil(batches / self.gradient_accumulation_steps)))

    def total_steps(self, rows: int | None = None) -> int | None:
        if self.max_steps is not None or rows is None:
            return self.max_steps
        return self.steps_for(math.ceil(rows / self.batch_size))

    @model_validator(mode="after")
    def warmup_fits(self) -> TrainingSpec:
        if self.max_steps is not None and self.warmup_steps > self.max_steps:
            raise cross_field(
                "Warm-up of {warmup_steps} steps is longer than the {max_steps} steps of the training: lower it.",
                "warmup_steps",
                warmup_steps=self.warmup_steps,
                max_steps=self.max_steps,
            )
        return self

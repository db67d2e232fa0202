"""Steps, batch, learning rate and optimizer of every gradient-based training (names follow TrainingArguments)."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import model_validator

from platform_core.errors import fill
from platform_core.jobs.spec import JobSpec, cross_field, setting

ADAM = {"optimizer": ("adamw", "adamw_8bit", "muon")}


def learning_rate_field(default: float, low: float, high: float, of: str = "the optimizer") -> Any:
    """The field of a learning rate, usually from `low` to `high` for a model of a billion parameters."""
    guides = "Guides recommend {low} to {high} for models of a billion parameters; tiny ones take far more."
    return setting(
        default,
        title="Learning rate",
        help=fill("Peak step size of {of}. " + guides, {"of": of, "low": low, "high": high}),
        group="Optimizer",
        gt=0,
        le=1,
        scientific=True,
        recommended=(low, high),
        scales=True,
    )


class OptimizerSpec(JobSpec):
    """How long and by which rule the weights are updated."""

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
        2e-5,
        title="Learning rate",
        help="Peak step size of the optimizer.",
        group="Optimizer",
        gt=0,
        le=1,
        scientific=True,
    )
    lr_scheduler: Literal[
        "linear",
        "cosine",
        "cosine_with_min_lr",
        "warmup_stable_decay",
        "inverse_sqrt",
        "constant",
        "constant_with_warmup",
    ] = setting(
        "linear",
        title="Learning-rate schedule",
        help="How the learning rate goes down after the warm-up. WSD keeps it constant and lets it fall at the end "
        "(Hu et al. 2024, MiniCPM).",
        group="Optimizer",
        advanced=True,
        labels={
            "linear": "Linear to zero",
            "cosine": "Cosine to zero",
            "cosine_with_min_lr": "Cosine to a floor",
            "warmup_stable_decay": "Warm-up, stable, decay (WSD)",
            "inverse_sqrt": "Inverse square root",
            "constant": "Constant",
            "constant_with_warmup": "Constant after warm-up",
        },
    )
    min_lr_ratio: float = setting(
        0.1,
        title="Floor of the schedule",
        help="The learning rate at the end, as a share of its peak.",
        group="Optimizer",
        advanced=True,
        ge=0,
        lt=1,
        step=0.05,
        shown_if={"lr_scheduler": ("cosine_with_min_lr", "warmup_stable_decay")},
    )
    decay_share: float = setting(
        0.2,
        title="Decay",
        help="Share of the steps, the last ones, in which the learning rate falls.",
        group="Optimizer",
        advanced=True,
        gt=0,
        le=1,
        step=0.05,
        recommended=(0.1, 0.3),
        shown_if={"lr_scheduler": ("warmup_stable_decay",)},
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
    optimizer: Literal["adamw", "adamw_8bit", "adafactor", "muon"] = setting(
        "adamw",
        title="Optimizer",
        help="AdamW keeps 8 bytes a parameter. 8-bit AdamW (Dettmers et al. 2022) keeps 2, Adafactor (Shazeer and "
        "Stern 2018) next to nothing. Muon (Jordan et al. 2024) orthogonalizes the updates of weight matrices and "
        "leaves embeddings, norms and the head to AdamW.",
        group="Optimizer",
        advanced=True,
        labels={"adamw": "AdamW", "adamw_8bit": "AdamW, 8-bit", "adafactor": "Adafactor", "muon": "Muon"},
    )
    weight_decay: float = setting(
        0.01,
        title="Weight decay",
        help="Decoupled weight decay.",
        group="Optimizer",
        advanced=True,
        ge=0,
        le=1,
        step=0.01,
    )
    adam_beta1: float = setting(
        0.9,
        title="Adam β₁",
        help="Decay of the first moment.",
        group="Optimizer",
        advanced=True,
        ge=0,
        lt=1,
        step=0.01,
        shown_if=ADAM,
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
        shown_if=ADAM,
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

    def steps_for(self, batches: int) -> int:
        """Optimizer updates for `batches` micro batches an epoch, as transformers' Trainer counts them."""
        if self.max_steps is not None:
            return self.max_steps
        return math.ceil(self.epochs * max(1, math.ceil(batches / self.gradient_accumulation_steps)))

    @property
    def world_size(self) -> int:
        """Processes that train together."""
        return 1

    def trained_rows(self, rows: int) -> int:
        """How many of the dataset's `rows` are trained on."""
        return rows

    def total_steps(self, rows: int | None = None) -> int | None:
        if self.max_steps is not None or rows is None:
            return self.max_steps
        return self.steps_for(math.ceil(self.trained_rows(rows) / (self.batch_size * self.world_size)))

    @model_validator(mode="after")
    def warmup_fits(self) -> OptimizerSpec:
        if self.max_steps is not None and self.warmup_steps > self.max_steps:
            raise cross_field(
                "Warm-up of {warmup_steps} steps is longer than the {max_steps} steps of the training: lower it.",
                "warmup_steps",
                warmup_steps=self.warmup_steps,
                max_steps=self.max_steps,
            )
        return self

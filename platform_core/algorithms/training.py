"""Settings that all training algorithms share: precision, device, validation, reports and checkpoints."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from platform_core.algorithms.parallel import ParallelSpec
from platform_core.jobs.spec import cross_field, setting


class TrainingSpec(ParallelSpec):
    """A gradient-based training from a dataset."""

    validation_share: float = setting(
        0.0,
        title="Validation share",
        help="Share of the dataset's rows, drawn by the seed, that is not trained on but measured: 0.01 to 0.1 are "
        "usual, 0 is none.",
        group="Validation",
        advanced=True,
        ge=0,
        le=0.5,
        step=0.01,
        shown_if={"validation_dataset": (None, "")},
    )
    validation_dataset: str | None = setting(
        None,
        title="Validation dataset",
        help="Rows of their own to measure on, in the same format. Empty: a share of the training rows, or none.",
        group="Validation",
        advanced=True,
        pick="dataset",
    )
    eval_every: int | None = setting(
        None,
        title="Measure every",
        help="Steps between two measurements on the validation rows. Empty: ten times in the whole training.",
        group="Validation",
        unit="steps",
        advanced=True,
        ge=1,
    )
    early_stopping: int | None = setting(
        None,
        title="Stop early after",
        empty="never",
        help="End the training when so many measurements in a row brought no better value. Empty: never.",
        group="Validation",
        unit="measurements",
        advanced=True,
        ge=1,
        le=1000,
    )
    early_stopping_metric: str = setting(
        "eval_loss",
        title="Judged by",
        help="The metric of the measurement that decides; `best is` says which way is better.",
        group="Validation",
        advanced=True,
        min_length=1,
        max_length=200,
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
        empty="when stopped",
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
        empty="never",
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

    final_model: Literal["last", "best"] = setting(
        "last",
        title="Model at the end",
        help="The weights of the last step, or those of the best checkpoint that is kept.",
        group="Run",
        advanced=True,
        labels={"last": "The last", "best": "The best checkpoint"},
    )

    def trained_rows(self, rows: int) -> int:
        return rows - self.held_out(rows)

    def held_out(self, rows: int) -> int:
        """How many of the dataset's `rows` are kept for validation: at least one where a share is asked for."""
        if self.validation_dataset or not self.validation_share:
            return 0
        return min(max(1, round(rows * self.validation_share)), rows - 1)

    @property
    def validates(self) -> bool:
        """Whether something is measured on rows that are not trained on."""
        return bool(self.validation_share or self.validation_dataset)

    @model_validator(mode="after")
    def early_stopping_can_happen(self) -> TrainingSpec:
        if self.early_stopping and not self.validates:
            raise cross_field(
                "Stopping early needs something to measure: set a validation share or a validation dataset.",
                "early_stopping",
                "validation_share",
            )
        return self

    @model_validator(mode="after")
    def best_is_known(self) -> TrainingSpec:
        if self.final_model == "best" and not self.keep_best:
            raise cross_field(
                "The best checkpoint is known only when one is kept: name the metric, such as eval_loss.",
                "keep_best",
                "final_model",
            )
        return self

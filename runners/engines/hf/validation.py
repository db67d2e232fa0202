"""Rows that are not trained on but measured: which they are, when it is done, and when it ends the training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from platform_core.algorithms.training import TrainingSpec
from platform_core.datasets.samples import Columns
from platform_core.errors import Problem
from runners.engines.hf.data import load_rows
from runners.job import Run
from runners.report import Report

ROUNDS = 10
"""Measurements in a whole training, where the spec does not say how often."""
Row = TypeVar("Row")


def arguments(spec: TrainingSpec) -> dict[str, Any]:
    """When a Trainer measures, in the words of TrainingArguments."""
    if not spec.validates:
        return {}
    return {
        "eval_strategy": "steps",
        "eval_steps": spec.eval_every or 1 / ROUNDS,
        "per_device_eval_batch_size": spec.batch_size,
    }


def training_rows(
    run: Run, family: str, report: Report, columns: Columns | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows to train on and those to measure on (none without validation), as the family `family` takes them;
    `columns`: fields of the dataset that play other parts than their names say.
    """
    spec = run.spec
    assert isinstance(spec, TrainingSpec)
    rows = load_rows(run.paths["dataset"], family, report, columns=columns)
    if "validation_dataset" in run.paths:
        return rows, load_rows(run.paths["validation_dataset"], family, report, columns=columns)
    return split(rows, spec, run.paths["dataset"].name)


def split(rows: Sequence[Row], spec: TrainingSpec, file: str) -> tuple[list[Row], list[Row]]:
    """Rows apart by the spec's share and seed, both in the order of the file; raises Problem where none is left."""
    if not spec.validates:
        return list(rows), []
    if len(rows) < 2:
        raise Problem(
            "{file} has one usable row: nothing is left to train on when it is kept for validation.",
            fields=("validation_share", "dataset"),
            file=file,
        )
    kept = set(random.Random(spec.seed).sample(range(len(rows)), spec.held_out(len(rows))))
    return [r for at, r in enumerate(rows) if at not in kept], [r for at, r in enumerate(rows) if at in kept]


class EarlyStopping(TrainerCallback):  # type: ignore[misc]
    """Ends the training when so many measurements in a row brought no better value.

    `state` holds `best`, its `step` and how many were `worse` since; a checkpoint keeps it.
    """

    def __init__(self, spec: TrainingSpec, report: Report, state: dict[str, float]) -> None:
        self.spec, self.report, self.state = spec, report, state
        self.told = False

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        patience, name = self.spec.early_stopping, self.spec.early_stopping_metric
        if patience is None:
            return
        value = (metrics or {}).get(name)
        if value is None:
            if not self.told:
                known = ", ".join(sorted(metrics or {}))
                said = f"early stopping can't judge: {name} is not measured; there are {known}"
                self.report.event("no_early_stopping", said, level="warning")
            self.told = True
            return
        best, higher = self.state.get("best"), self.spec.best_is == "higher"
        if best is None or (value > best if higher else value < best):
            self.state |= {"best": value, "step": state.global_step, "worse": 0}
            return
        self.state["worse"] += 1
        if self.state["worse"] >= patience:
            control.should_training_stop = True
            said = f"stopped early: {name} was best at step {self.state['step']:.0f} ({best:.4g})"
            self.report.event("stopped_early", said, at=state.global_step)

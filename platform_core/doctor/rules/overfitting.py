"""Training loss falls while validation loss rises."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import Values, evidence, finite, median, noise
from platform_core.errors import text

NAMES = ("eval_loss", "eval/loss", "validation/loss", "validation_loss", "val_loss", "val/loss")
RISE = 1.1
"""Times the least validation loss."""
POINTS = 4
LASTING = 2
"""Evaluations in a row above the limit."""
SIGMAS = 4.0


def examine(case: Case) -> Diagnosis | None:
    """The last two validation losses are over 1.1 times the least, and the training loss went on falling since."""
    name = next((n for n in NAMES if n in case.latest), None)
    if name is None or "loss" not in case.latest:
        return None
    series = finite(case.trend(name))
    if len(series.values) < POINTS or not (series.values > 0).all():
        return None
    best = int(np.argmin(series.values))
    least = float(series.values[best])
    limit = max(least * RISE, least + SIGMAS * noise(series.values))
    if best > len(series.values) - 1 - LASTING or float(series.values[-LASTING:].min()) <= limit:
        return None
    train = finite(case.trend("loss"))
    at = int(np.searchsorted(train.steps, series.steps[best]))
    if not _fell(train.values, at):
        return None
    step = int(series.steps[best])
    return Diagnosis(
        RULE.name,
        "warning",
        text(
            "The model memorises its training data: since step {step} the validation loss rose from {least:.3g} "
            "to {last:.3g}, while the training loss fell.",
            step=step,
            least=least,
            last=float(series.values[-1]),
        ),
        text("From there on each step makes answers to new questions worse."),
        Fix(text("Stop after {steps} steps.", steps=step), {"max_steps": step})
        if step > max(0, case.setting("warmup_steps", 0))
        else None,
        step,
        evidence(name, series, limit),
    )


def _fell(train: Values, at: int) -> bool:
    around, late = train[max(0, at - 3) : at + 4], train[-max(3, len(train) // 10) :]
    return len(around) > 0 and median(late) < median(around)


RULE = Rule(
    name="overfitting",
    title=text("Validation loss rises"),
    level="warning",
    explains=text(
        "The last two validation losses are over 1.1 times the least one, and the training loss fell since then."
    ),
    suggests=text("As many steps as the least validation loss took."),
    examine=examine,
)

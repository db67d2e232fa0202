"""A learning rate far too high (the loss went above where it began) or far too low (nothing moves)."""

from __future__ import annotations

from typing import Any

import numpy as np

from platform_core.algorithms.registry import algorithms
from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.fixes import lower_learning_rate, rounded
from platform_core.doctor.rule import Rule
from platform_core.doctor.rules.plateau import fell
from platform_core.doctor.statistics import evidence, finite, median, noise
from platform_core.errors import text
from platform_core.jobs.spec import setting_of

ABOVE = 1.15
"""Times the first loss: a model that knows less than at its start is being destroyed."""
POINTS = 8
BACK, SIGMAS, LASTING = 1.5, 3.0, 3
"""Three of the first points over 1.5 times the first loss and 3 times the noise: thrown back at the start."""
FAR = 10.0
"""Times below the least recommended rate."""


def examine(case: Case) -> Diagnosis | None:
    """Too high: the median of the newest losses is over 1.15 times the first. Too low: no fall at a tenth of advice."""
    rate = case.setting("learning_rate")
    if not isinstance(rate, int | float) or "loss" not in case.latest or "reward" in case.latest:
        return None
    return _too_high(case, float(rate)) or _too_low(case, float(rate))


def _too_high(case: Case, rate: float) -> Diagnosis | None:
    early = finite(case.first("loss")).values
    series = finite(case.trend("loss"))
    if len(series.values) < POINTS or not (early > 0).all():
        return None
    begun = float(early[0])  # later ones may be of a model that is broken already
    late = median(series.values[-max(5, len(series.values) // 5) :])
    best = float(np.min(series.values))
    learned = len(series.values) > 30 and best < begun / 1.5 and median(series.values) < begun
    if late < ABOVE * begun or learned:
        return _thrown_back(case, rate, begun)
    return Diagnosis(
        RULE.name,
        "critical",
        text(
            "The learning rate {rate:g} is far too high: the loss rose from {begun:.3g} to {late:.3g}.",
            rate=rate,
            begun=begun,
            late=late,
        ),
        text("The model knows less than at its start; more steps at this rate do not bring it back."),
        lower_learning_rate(case, 10.0 if late < 3 * begun else 100.0),
        int(series.steps[-1]),
        evidence("loss", series, begun),
    )


def _thrown_back(case: Case, rate: float, begun: float) -> Diagnosis | None:
    series = finite(case.first("loss"))
    limit = begun * max(BACK, float(np.exp(SIGMAS * noise(np.log(np.maximum(case.trend("loss").values, 1e-9))))))
    if np.count_nonzero(series.values > limit) < LASTING or float(series.values[1:4].min()) < begun:
        return None
    worst = int(np.argmax(series.values))
    return Diagnosis(
        RULE.name,
        "warning",
        text(
            "The learning rate {rate:g} is too high: the first steps raised the loss from {begun:.3g} to {worst:.3g}.",
            rate=rate,
            begun=begun,
            worst=float(series.values[worst]),
        ),
        text("What the model knew is lost before it learns: it starts from worse than where you began."),
        lower_learning_rate(case),
        int(series.steps[worst]),
        evidence("loss", series, limit),
    )


def _too_low(case: Case, rate: float) -> Diagnosis | None:
    advised = recommended(case.job.kind)
    found = fell(case)
    if advised is None or found is None or rate * FAR > advised[0]:
        return None
    series, _, clearly = found
    if clearly:
        return None
    better = rounded(advised[0])
    return Diagnosis(
        RULE.name,
        "warning",
        text("The learning rate {rate:g} is far too low: the loss stays where it began.", rate=rate),
        text(
            "At this rate the training takes far more steps; {low:g} to {high:g} is usual here.",
            low=advised[0],
            high=advised[1],
        ),
        Fix(text("Raise the learning rate to {rate:g}.", rate=better), {"learning_rate": better}),
        int(series.steps[-1]),
        evidence("loss", series),
    )


def recommended(kind: str) -> tuple[float, float] | None:
    """The learning rates that the kind's settings recommend."""
    known = algorithms().get(kind)
    field: Any = known.spec.model_fields.get("learning_rate") if known else None
    return setting_of(field).recommended if field is not None else None


RULE = Rule(
    name="learning_rate",
    title=text("Learning rate far outside"),
    level="critical",
    explains=text(
        "Too high: the newest losses are over 1.15 times the first one, or three of the first over 1.5 times. Too low: "
        "at a tenth of the least recommended rate or below, the loss does not fall (see that rule)."
    ),
    suggests=text("A tenth or a hundredth of the learning rate; when it is too low, the least recommended one."),
    examine=examine,
    leads_to=("loss_spike", "gradient_explosion", "plateau", "gradient_layers"),
)

"""A training loss that does not fall."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case, Series
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.fixes import rounded
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import Values, evidence, finite, median, noise
from platform_core.errors import text

POINTS = 60
"""Logged points after the warm-up before a run is judged: tiny runs stay unjudged."""
FALL = 0.02
"""Share that the loss must have fallen by; what fell less but clearly more than its noise is left alone."""
CLEAR = 3.0
"""Standard errors that make a small fall a clear one."""
NOTHING = 0.005
BEGIN, ENOUGH = 32, 2.5
"""The first points that tell the level at the start, and standard errors that a fall of 2 % from it must have."""


def fell(case: Case) -> tuple[Series, float, bool] | None:
    """The loss after the warm-up, the share by which it fell from its first to its last fifth, and whether clearly."""
    if "loss" not in case.latest or "reward" in case.latest:
        return None
    steps, values = finite(case.trend("loss"))
    kept = steps > case.setting("warmup_steps", 0)
    series = Series(steps[kept], values[kept])
    if len(series.values) < POINTS or not (series.values > 0).all():
        return None
    start = finite(case.first("loss")).values[:BEGIN]
    count = len(series.values) // 5
    early, late = median(series.values[:count]), median(series.values[-count:])
    begun = max(median(start), early)
    error = 1.25 * noise(series.values) * np.sqrt(2 / count)
    clearly = (early - late) / early > NOTHING and early - late > CLEAR * error
    beginning = 1.25 * noise(case.recent("loss").values) * np.sqrt(1 / len(start) + 1 / count)
    return series, (begun - late) / begun, clearly or begun - late > max(FALL * begun, ENOUGH * beginning)


def examine(case: Case) -> Diagnosis | None:
    """The last fifth of the loss against the first points and the first fifth: not fallen beyond the noise."""
    found = fell(case)
    if found is None:
        return None
    series, _, clearly = found
    if clearly:
        return None
    rate = case.setting("learning_rate")
    higher = rounded(min(1.0, rate * 3)) if isinstance(rate, int | float) else None
    return Diagnosis(
        RULE.name,
        "warning",
        text("The loss has not fallen in {n} steps: {value:.3g}.", n=int(series.steps[-1]), value=_last(series.values)),
        text(
            "The model learns nothing from this data with these settings: the answers may not follow from the prompts, "
            "the learning rate may be too low, or the model too small."
        ),
        Fix(text("Raise the learning rate to {rate:g}.", rate=higher), {"learning_rate": higher}) if higher else None,
        int(series.steps[-1]),
        evidence("loss", series),
    )


def _last(values: Values) -> float:
    return median(values[-10:])


RULE = Rule(
    name="plateau",
    title=text("Loss does not fall"),
    level="warning",
    explains=text(
        "After 60 logged points past the warm-up, the median loss of the last fifth is less than 2 % (or 2.5 standard "
        "errors) below the first 32 points, and less than 3 standard errors or 0.5 % below the first fifth."
    ),
    suggests=text("Three times the learning rate."),
    examine=examine,
)

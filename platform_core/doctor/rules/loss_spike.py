"""A sudden jump of the training loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from platform_core.doctor.case import Case, Series
from platform_core.doctor.diagnosis import Diagnosis, Level
from platform_core.doctor.fixes import lower_learning_rate
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import Values, evidence, finite, median, noise
from platform_core.errors import text

BEFORE = 24
"""Points whose median a point is held against."""
LEAST = 1.6
"""Times the median: smaller jumps are common between batches of different texts."""
SIGMAS = 7.0
"""Times the noise of the log loss: batch noise has heavy tails, so more than the usual 3."""
LASTING = 3
"""Points above the limit that make it more than one odd batch."""
HUGE = 5.0
"""Times the median at which one batch alone matters."""
RESTART = 1.5
"""A learning rate that rose by this much (restarts) excuses jumps up to its square root more."""


def examine(case: Case) -> Diagnosis | None:
    """The log loss against the median of the 24 points before it; the warm-up and the loss of RL are left out."""
    series = loss_after_warmup(case)
    if series is None or len(series.values) < BEFORE + LASTING:
        return None
    logs = np.log(series.values)
    windows = np.lib.stride_tricks.sliding_window_view(logs, BEFORE)[:-1]
    base = np.median(windows, axis=1)
    limit = base + np.log(LEAST) + _excuse(case, series)
    limit = np.maximum(limit, base + SIGMAS * _noise_before(logs))
    over = np.flatnonzero(logs[BEFORE:] > limit)
    if not len(over):
        return None
    at = int(over[np.argmax((logs[BEFORE:] - base)[over])])
    begin = int(max(o for o in over if o <= at and o - 1 not in over))
    level = _level(logs, base, limit, over)
    index, factor = at + BEFORE, float(np.exp(logs[at + BEFORE] - base[at]))
    step = int(series.steps[index])
    return Diagnosis(
        RULE.name,
        level,
        text(
            "The loss jumped to {factor:.1f} times its level at step {step}: {value:.3g}.",
            factor=factor,
            step=step,
            value=float(series.values[index]),
        ),
        text("A jump undoes what was learned, and may be the first of several that end in a blow-up."),
        lower_learning_rate(case, 3.0) if level != "info" else None,
        int(series.steps[begin + BEFORE]),
        evidence("loss", series, float(np.exp(limit[at])), index),
    )


def loss_after_warmup(case: Case) -> Series | None:
    """The newest losses of supervised training past its warm-up; None for RL, whose loss is no measure."""
    if "loss" not in case.latest or "reward" in case.latest:
        return None
    steps, values = finite(case.recent("loss"))
    kept = (steps > case.setting("warmup_steps", 0)) & (values > 0)
    return Series(steps[kept], values[kept])


def _noise_before(logs: Values) -> Values:
    """The noise at each point after the first `BEFORE`, from those before it and from the whole, the larger."""
    whole = noise(logs)
    moves = np.abs(np.diff(logs))
    local = np.median(np.lib.stride_tricks.sliding_window_view(moves, BEFORE - 1)[:-1], axis=1) * 1.4826 / np.sqrt(2)
    return np.asarray(np.maximum(local, whole))


def _excuse(case: Case, series: Series) -> Values:
    """What a rise of the learning rate adds to the limit of each point after the first `BEFORE`."""
    nothing = np.zeros(len(series.values) - BEFORE)
    if "learning_rate" not in case.latest:
        return nothing
    steps, rates = case.recent("learning_rate")
    at = np.searchsorted(steps, series.steps).clip(0, len(steps) - 1)
    rate = np.maximum(rates[at], 1e-12)
    lowest = np.lib.stride_tricks.sliding_window_view(rate, BEFORE)[:-1].min(axis=1)
    rise = rate[BEFORE:] / lowest
    return np.asarray(np.where(rise > RESTART, np.minimum(0.5 * np.log(rise), np.log(2.0)), 0.0))


def _level(logs: Values, base: Values, limit: Values, over: NDArray[np.intp]) -> Level:
    longest = max(len(part) for part in np.split(over, np.flatnonzero(np.diff(over) > 1) + 1))
    stays = median(logs[-LASTING:]) > limit[over[-1]] and over[-1] >= len(limit) - LASTING
    huge = float((logs[BEFORE:] - base)[over].max()) > np.log(HUGE)
    if stays and huge:
        return "critical"
    return "warning" if stays or huge or longest >= LASTING else "info"


RULE = Rule(
    name="loss_spike",
    title=text("Loss spike"),
    level="critical",
    explains=text(
        "The loss is over 1.6 times the median of the 24 points before it, and over 7 times the noise of its "
        "logarithm. One batch that recovers is told as information, three in a row or 5 times the level as a warning."
    ),
    suggests=text("A third of the learning rate, and a warm-up where there is none."),
    examine=examine,
)

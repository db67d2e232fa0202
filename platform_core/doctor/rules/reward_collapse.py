"""A reward that was there and is lost."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.doctor.fixes import lower_learning_rate
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import evidence, finite, noise, smooth
from platform_core.errors import text

POINTS = 20
DROP = 0.3
"""Share of the best level (or of the range, for rewards around zero) that is lost."""
FAR = 0.6
SIGMAS = 4.0


def examine(case: Case) -> Diagnosis | None:
    """The running median of the reward against its own best: 30 % lost, and more than 4 times the noise."""
    if "reward" not in case.latest:
        return None
    series = finite(case.trend("reward"))
    if len(series.values) < POINTS:
        return None
    width = max(5, len(series.values) // 20)
    level = smooth(series.values, width)
    at = int(np.argmax(level))
    best, now = float(level[at]), float(level[-1])
    scale = max(abs(best), float(level.max() - level.min()))
    # A reward that stands still after its fall has no noise there: that around the best level counts, too.
    around = noise(series.values[max(0, at - width) : at + 2 * width])
    error = max(noise(series.values), around) * 1.25 * np.sqrt(2 / width)
    if best - now < max(DROP * scale, SIGMAS * error, 1e-3):
        return None
    step = int(series.steps[at])
    return Diagnosis(
        RULE.name,
        "critical" if best - now > FAR * scale else "warning",
        text("The reward fell from {best:.3g} at step {step} to {now:.3g}.", best=best, step=step, now=now),
        text("What the model had learned is lost; more steps like this seldom bring it back."),
        lower_learning_rate(case, 3.0),
        step,
        evidence("reward", series, best - DROP * scale),
    )


RULE = Rule(
    name="reward_collapse",
    title=text("Reward collapse"),
    level="critical",
    explains=text(
        "The running median of the reward has lost 30 % of its best level and over 4 times its noise; 60 % is critical."
    ),
    suggests=text("A third of the learning rate."),
    examine=examine,
    leads_to=("zero_reward_spread", "truncated_completions", "gradient_explosion"),
)

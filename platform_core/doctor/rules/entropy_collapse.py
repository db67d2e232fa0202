"""A policy that always says the same, before it has learned."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.fixes import rounded
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import ends, evidence, finite, noise
from platform_core.errors import text

POINTS = 20
SHARE = 0.1
"""Of the entropy at the start. A healthy run of the demo keeps a fifth while its reward rises from 0.6 to 0.9."""
SIGMAS = 2.0
"""Of the reward's noise: a reward that rose by more than this has a reason for the model to be sure."""
LITTLE = 0.05


def examine(case: Case) -> Diagnosis | None:
    """Entropy below a tenth of its start while the reward has not risen beyond its noise."""
    if "entropy" not in case.latest or "reward" not in case.latest:
        return None
    series = finite(case.trend("entropy"))
    if len(series.values) < POINTS:
        return None
    before, now = ends(series.values, 0.1)
    if before <= 0 or now > SHARE * before:
        return None
    rewards = finite(case.trend("reward")).values
    first, last = ends(rewards, 0.1)
    if last - first > max(SIGMAS * noise(rewards), LITTLE * max(abs(first), abs(last))):
        return None
    rate = case.setting("learning_rate")
    changes: dict[str, float] = {"temperature": min(1.5, rounded(float(case.setting("temperature", 1.0)) * 1.2))}
    if isinstance(rate, int | float):
        changes["learning_rate"] = rounded(rate / 3)
    return Diagnosis(
        RULE.name,
        "critical" if now < SHARE * before / 5 else "warning",
        text(
            "The entropy collapsed from {before:.3g} to {now:.3g}, and the reward has not risen: {reward:.3g}.",
            before=before,
            now=now,
            reward=last,
        ),
        text("All answers to a prompt are the same then: there is nothing left to compare, and nothing to learn from."),
        Fix(
            text("Sample at temperature {t:g} and take a third of the learning rate.", t=changes["temperature"]),
            changes,
        ),
        int(series.steps[int(np.argmax(series.values <= SHARE * before))]),
        evidence("entropy", series, SHARE * before),
    )


RULE = Rule(
    name="entropy_collapse",
    title=text("Entropy collapse"),
    level="critical",
    explains=text(
        "The entropy is below a tenth of that at the start, and the reward has not risen by twice its noise and 5 % "
        "since; below a fiftieth is critical."
    ),
    suggests=text("A higher temperature, a third of the learning rate."),
    examine=examine,
    leads_to=("zero_reward_spread",),
)

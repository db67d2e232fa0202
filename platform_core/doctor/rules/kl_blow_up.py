"""KL to the start model that runs away."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.fixes import rounded
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import evidence, finite, median
from platform_core.errors import text

POINTS, NEWEST = 10, 5
LIMIT = 1.0
"""Nats a token. Healthy GRPO and PPO runs stay below 0.1 to 0.5; at 1 the answers are another model's."""
FAR = 10.0
TIMES = 5.0
"""Times the median of the first half of the run."""


def examine(case: Case) -> Diagnosis | None:
    """The median KL of the newest 5 points: over 1 nat a token and over 5 times that of the first half of the run."""
    if "kl" not in case.latest:
        return None
    series = finite(case.trend("kl"))
    if len(series.values) < POINTS:
        return None
    now, before = median(series.values[-NEWEST:]), median(series.values[: max(3, len(series.values) // 2)])
    if now < LIMIT or now < TIMES * max(before, 0.0):
        return None
    coefficient = float(case.setting("kl_coef", 0.0))
    stronger = min(10.0, rounded(max(0.04, 4 * coefficient)))
    changes = {"kl_coef": stronger}
    rate = case.setting("learning_rate")
    if isinstance(rate, int | float):
        changes["learning_rate"] = rounded(rate / 3)
    return Diagnosis(
        RULE.name,
        "critical" if now > FAR else "warning",
        text("KL to the start model blew up to {now:.3g} nats a token; it was {before:.3g}.", now=now, before=before),
        text("The model leaves the language that it knew: rewards gained this way seldom hold on other prompts."),
        Fix(
            text(
                "Pull harder towards the start model: KL coefficient {value:g}, a third of the learning rate.",
                value=stronger,
            ),
            changes,
        ),
        int(series.steps[-1]),
        evidence("kl", series, LIMIT),
    )


RULE = Rule(
    name="kl_blow_up",
    title=text("KL blow-up"),
    level="critical",
    explains=text(
        "The median KL of the newest 5 points is over 1 nat a token and over 5 times that of the first half of the "
        "run; over 10 nats is critical."
    ),
    suggests=text("Four times the KL coefficient, a third of the learning rate."),
    examine=examine,
    leads_to=("reward_collapse", "entropy_collapse", "gradient_explosion"),
)

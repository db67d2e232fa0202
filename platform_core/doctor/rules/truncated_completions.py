"""Answers that end because there is no more room."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import evidence, finite, median
from platform_core.errors import text

NAME = "completions/clipped_ratio"
SHARE, ALL = 0.5, 0.9
"""Of the answers; healthy runs cut a few percent."""
POINTS, NEWEST = 5, 10


def examine(case: Case) -> Diagnosis | None:
    """The median share of cut answers in the newest 10 points: half is a warning, nine of ten critical."""
    if NAME not in case.latest:
        return None
    series = finite(case.trend(NAME))
    if len(series.values) < POINTS:
        return None
    share = median(series.values[-NEWEST:])
    if share < SHARE:
        return None
    room = case.setting("max_completion_length")
    fix = None
    if isinstance(room, int):
        longer = min(1_000_000, room * 2)
        fix = Fix(text("Give answers {tokens} tokens.", tokens=longer), {"max_completion_length": longer})
    return Diagnosis(
        RULE.name,
        "critical" if share >= ALL else "warning",
        text("{share:.0%} of the answers are cut at the completion length.", share=share),
        text("A cut answer rarely holds the result, so its reward says nothing about the model."),
        fix,
        int(series.steps[-1]),
        evidence(NAME, series, SHARE),
    )


RULE = Rule(
    name="truncated_completions",
    title=text("Answers are cut"),
    level="critical",
    explains=text(
        "The median share of answers of the newest 10 points that end at the completion length is one half; nine of "
        "ten is critical."
    ),
    suggests=text("Twice the completion length."),
    examine=examine,
    leads_to=("zero_reward_spread",),
)

"""Groups in which all answers get the same reward: GRPO has nothing to compare."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import evidence, finite, median
from platform_core.errors import text

NAME = "frac_reward_zero_std"
SHARE = 0.9
"""Of the groups: the other tenth carries the whole gradient. A healthy demo run ends at one half."""
POINTS, NEWEST = 8, 10
SOLVED = 0.9
"""Mean reward from which equal rewards mean that the task is solved (exact match gives at most 1)."""


def examine(case: Case) -> Diagnosis | None:
    """Nine of ten groups of the newest 10 points have no spread; a solved task is told as information."""
    if NAME not in case.latest:
        return None
    series = finite(case.trend(NAME))
    if len(series.values) < POINTS or median(series.values[-NEWEST:]) < SHARE:
        return None
    reward = median(finite(case.trend("reward")).values[-NEWEST:]) if "reward" in case.latest else 0.0
    step = int(series.steps[-1])
    if reward >= SOLVED:
        return Diagnosis(
            RULE.name,
            "info",
            text("Nearly all answers are right ({reward:.3g}): these prompts teach nothing more.", reward=reward),
            text("Harder prompts would go on teaching it."),
            None,
            step,
            evidence(NAME, series, SHARE),
        )
    always = median(series.values[:NEWEST]) >= SHARE
    return Diagnosis(
        RULE.name,
        "critical" if always else "warning",
        text(
            "In {share:.0%} of the groups all answers get the same reward ({reward:.3g} on average).",
            share=median(series.values[-NEWEST:]),
            reward=reward,
        ),
        text(
            "GRPO learns from differences within a group: without any it learns nothing. The task may be too hard for "
            "the model, or the answer is not found where the settings say it stands."
        ),
        _more_spread(case),
        step,
        evidence(NAME, series, SHARE),
    )


def _more_spread(case: Case) -> Fix | None:
    group, batch = case.setting("num_generations"), case.setting("batch_size")
    if not isinstance(group, int) or not isinstance(batch, int) or group * 2 > 1024 or batch * 2 > 65_536:
        return None
    changes: dict[str, float | int] = {"num_generations": group * 2, "batch_size": batch * 2}
    if float(case.setting("temperature", 1.0)) < 1.2:
        changes["temperature"] = 1.2
    return Fix(text("Try {n} answers a prompt at a higher temperature, so that some differ.", n=group * 2), changes)


RULE = Rule(
    name="zero_reward_spread",
    title=text("No spread of rewards"),
    level="critical",
    explains=text(
        "In nine of ten groups of the newest 10 points all answers get the same reward. With a mean reward of 0.9 the "
        "task counts as solved, which is information; so from the start is critical."
    ),
    suggests=text("Twice the group size and batch size, a temperature of 1.2."),
    examine=examine,
    leads_to=("gradient_layers", "plateau"),
)

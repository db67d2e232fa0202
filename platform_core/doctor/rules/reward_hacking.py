"""Reward goes up while answers explode in length or repeat themselves."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix
from platform_core.doctor.fixes import rounded
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import ends, evidence, finite, noise
from platform_core.errors import Text, text

POINTS = 20
LONGER = 3.0
"""Times the length at the start, within one run. Reasoning that grows by half, as the demo's does, is learning."""
REPEATS = 0.5
"""Share of 4-grams that came before in the same answer."""
MORE = 0.3
SIGMAS = 2.0
LENGTH = "completions/mean_length"


def examine(case: Case) -> Diagnosis | None:
    """Reward up by more than its noise, and answers over 3 times as long as at the start, or full of repetition."""
    if "reward" not in case.latest:
        return None
    rewards = finite(case.trend("reward"))
    if len(rewards.values) < POINTS:
        return None
    first, last = ends(rewards.values, 0.1)
    if last - first < max(SIGMAS * noise(rewards.values), 0.05 * max(abs(first), abs(last))):
        return None
    return _by_length(case, first, last) or _by_repetition(case, first, last)


def _by_length(case: Case, first: float, last: float) -> Diagnosis | None:
    if LENGTH not in case.latest:
        return None
    series = finite(case.trend(LENGTH))
    before, now = ends(series.values, 0.1)
    if not before > 0 or now < LONGER * before:
        return None
    said = text(
        "The reward rose from {first:.3g} to {last:.3g} while answers grew from {before:.0f} to {now:.0f} tokens: "
        "perhaps length itself is rewarded.",
        first=first,
        last=last,
        before=before,
        now=now,
    )
    room = max(8, int(2 * before))
    return _found(case, said, evidence(LENGTH, series, LONGER * before), room)


def _by_repetition(case: Case, first: float, last: float) -> Diagnosis | None:
    newest = [str(s.data.get("completion", "")) for s in case.samples]
    oldest = [str(s.data.get("completion", "")) for s in case.run.samples(len(newest) or 1, oldest_first=True)]
    if not newest:
        return None
    now, before = _mean(newest), _mean(oldest)
    if now < REPEATS or now < before + MORE:
        return None
    said = text(
        "The reward rose from {first:.3g} to {last:.3g} while answers repeat themselves: {now:.0%} of their 4-grams, "
        "{before:.0%} at the start.",
        first=first,
        last=last,
        now=now,
        before=before,
    )
    worst = max(newest, key=repetition)
    return _found(case, said, Evidence(lines=(worst[:300],)), None)


def repetition(answer: str) -> float:
    """The share of a text's 4-grams, of words or, in a text of few words, of characters, that came before in it."""
    parts: list[str] = answer.split()
    parts = parts if len(parts) >= 12 else list(answer)
    grams = list(zip(*(parts[at:] for at in range(4)), strict=False))
    return 1 - len(set(grams)) / len(grams) if len(grams) >= 8 else 0.0


def _mean(answers: list[str]) -> float:
    return sum(map(repetition, answers)) / len(answers) if answers else 0.0


def _found(case: Case, said: Text, seen: Evidence, room: int | None) -> Diagnosis:
    coefficient = min(10.0, rounded(max(0.04, 4 * float(case.setting("kl_coef", 0.0)))))
    changes: dict[str, float | int] = {"kl_coef": coefficient}
    if room is not None and room < case.setting("max_completion_length", 0):
        changes["max_completion_length"] = room
    return Diagnosis(
        RULE.name,
        "warning",
        said,
        text("A reward that can be had without the task teaches the model to cheat: read some of the newest samples."),
        Fix(text("Hold the model nearer to its start: KL coefficient {value:g}.", value=coefficient), changes),
        case.last_step,
        seen,
    )


RULE = Rule(
    name="reward_hacking",
    title=text("Signs of reward hacking"),
    level="warning",
    explains=text(
        "The reward rose beyond twice its noise and 5 %, and answers became over 3 times as long, or half of the "
        "4-grams of the newest answers repeat while those of the first did not."
    ),
    suggests=text(
        "A KL coefficient of 0.04 or four times the old; for length, a completion length of twice that at the start."
    ),
    examine=examine,
    leads_to=("truncated_completions", "throughput"),
)

"""A penalty for completions that are too long or too short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import model_validator

from platform_core.errors import text
from platform_core.jobs.spec import cross_field, setting
from platform_core.rewards.answer import Answer, Verdict
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.resources import Resources


class Length(RewardFunction):
    kind: ClassVar[str] = "length"

    unit: Literal["characters", "words"] = setting(
        "characters", title="Counted in", help="What is counted.", labels={"characters": "Characters", "words": "Words"}
    )
    most: int = setting(2000, title="Longest", help="From here on the value is −1.", ge=1, le=100_000_000)
    slack: int = setting(
        500, title="Falls over", help="So much before the longest the value begins to fall from 0.", ge=0,
        le=100_000_000,
    )  # fmt: skip
    least: int = setting(0, title="Shortest", help="Below, the value falls to −1 for an empty answer.", ge=0,
                         le=100_000_000)  # fmt: skip

    @model_validator(mode="after")
    def lengths_fit(self) -> Length:
        if self.least > self.most - self.slack:
            raise cross_field("Every length would cost something: lower the shortest, or raise the longest.", "least")
        return self


def value_of(length: int, most: int, slack: int, least: int) -> float:
    """0 in the range, −1 at its ends' far sides, linear between: DAPO's soft overlong punishment (Yu et al. 2025,
    eq. 13), and its mirror image below."""
    if length < least:
        return length / least - 1
    if length <= most - slack:
        return 0.0
    return max(-1.0, (most - slack - length) / slack) if slack else -1.0


def open_(function: Length, resources: Resources) -> Judge:
    """From −1 to 0."""

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        lengths = [len(a.completion.split()) if function.unit == "words" else len(a.completion) for a in answers]
        return [
            Verdict(
                value_of(n, function.most, function.slack, function.least),
                text("{n} words", n=n) if function.unit == "words" else text("{n} characters", n=n),
            )
            for n in lengths
        ]

    return judge


KIND = Kind(
    spec=Length,
    title="Length",
    summary="From 0 down to −1 for completions that are too long or too short.",
    icon="straighten",
    open=open_,
    order=50,
)

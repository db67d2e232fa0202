"""A penalty for saying the same again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from platform_core.errors import text
from platform_core.jobs.spec import setting
from platform_core.rewards.answer import Answer, Verdict
from platform_core.rewards.extraction import LOOKED_AT
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.resources import Resources


class Repetition(RewardFunction):
    kind: ClassVar[str] = "repetition"

    unit: Literal["words", "characters"] = setting(
        "words",
        title="Runs of",
        help="Characters for languages without spaces.",
        labels={"words": "Words", "characters": "Characters"},
    )
    size: int = setting(4, title="Run length", help="Words or characters in a run that should not return.", ge=1, le=64)
    free: float = setting(
        0.1, title="Free share", help="Share of repeated runs that costs nothing.", ge=0, le=0.99, step=0.05
    )


def repeated_share(completion: str, unit: str, size: int) -> float:
    """Share of n-grams that were there before: 1 − distinct / all (Welleck et al. 2019, seq-rep-n)."""
    said = completion[-LOOKED_AT:]
    units: Sequence[str] = said.split() if unit == "words" else said
    total = len(units) - size + 1
    return 1 - len({tuple(units[at : at + size]) for at in range(total)}) / total if total > 0 else 0.0


def open_(function: Repetition, resources: Resources) -> Judge:
    """0 up to the free share, then linearly to −1 where everything is repeated."""

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        shares = [repeated_share(a.completion, function.unit, function.size) for a in answers]
        return [
            Verdict(
                min(0.0, (function.free - share) / (1 - function.free)), text("{share:.0%} is repeated", share=share)
            )
            for share in shares
        ]

    return judge


KIND = Kind(
    spec=Repetition,
    title="Repetition",
    summary="From 0 down to −1 the more a completion repeats itself.",
    icon="repeat",
    open=open_,
    order=60,
)

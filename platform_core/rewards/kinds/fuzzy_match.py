"""The answer is like the reference."""

from __future__ import annotations

from typing import ClassVar, Literal

from platform_core.errors import Text, text
from platform_core.jobs.spec import setting
from platform_core.rewards.comparison import likeness
from platform_core.rewards.function import AnswerFunction, Extraction, extraction_field
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.matching import compared
from platform_core.rewards.resources import Resources


class FuzzyMatch(AnswerFunction):
    kind: ClassVar[str] = "fuzzy_match"

    extraction: Extraction = extraction_field("whole")
    measure: Literal["words", "characters"] = setting(
        "words",
        title="Likeness of",
        help="Words: F1 of the words that both have. Characters: share of matching runs of characters.",
        labels={"words": "Words", "characters": "Characters"},
    )
    threshold: float = setting(0.0, title="Threshold", help="Less likeness gives 0.", ge=0, le=1, step=0.05)
    binary: bool = setting(False, title="All or nothing", help="1 from the threshold on, instead of the likeness.")


def open_(function: FuzzyMatch, resources: Resources) -> Judge:
    """The likeness from 0 to 1, or 1 from a threshold on."""

    def compare(answer: str, reference: str) -> tuple[float, Text]:
        like = likeness(answer, reference, function.measure)
        enough = like >= function.threshold
        value = float(enough) if function.binary else like if enough else 0.0
        return value, text("{share:.0%} like the reference", share=like)

    return compared(function, compare)


KIND = Kind(
    spec=FuzzyMatch,
    title="Fuzzy match",
    summary="How like the reference the answer is, from 0 to 1.",
    icon="join_inner",
    open=open_,
    order=30,
)

"""The answer is the reference, letter by letter."""

from __future__ import annotations

from typing import ClassVar

from platform_core.errors import Text
from platform_core.jobs.spec import setting
from platform_core.rewards.comparison import same_text
from platform_core.rewards.function import AnswerFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.matching import compared, verdict_text
from platform_core.rewards.resources import Resources


class ExactMatch(AnswerFunction):
    kind: ClassVar[str] = "exact_match"

    ignore_case: bool = setting(False, title="Ignore case", help="“Paris” and “paris” are the same.")
    ignore_spaces: bool = setting(False, title="Ignore spacing", help="Any run of spaces and line ends is one space.")


def open_(function: ExactMatch, resources: Resources) -> Judge:
    """1 when the texts are equal, else 0."""

    def compare(answer: str, reference: str) -> tuple[float, Text]:
        right = same_text(answer, reference, function.ignore_case, function.ignore_spaces)
        return float(right), verdict_text(right, answer, reference)

    return compared(function, compare, plain=True)


KIND = Kind(
    spec=ExactMatch,
    title="Exact match",
    summary="1 when the answer equals the reference letter by letter, else 0.",
    icon="equal",
    open=open_,
    order=10,
)

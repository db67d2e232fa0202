"""The frame of functions that compare an extracted answer with the reference, one answer at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from platform_core.errors import Text, text
from platform_core.rewards.answer import Answer, Verdict, failed
from platform_core.rewards.extraction import extract, extract_plain, looked_at, wanted
from platform_core.rewards.function import AnswerFunction
from platform_core.rewards.kinds.registry import Judge

SHOWN = 60
Compare = Callable[[str, str], tuple[float, Text]]
"""(answer, reference) to the value and why."""


@dataclass(frozen=True)
class Taken:
    """An answer and the reference that it is compared with; `several` tells that it was the last of more than one."""

    answer: str
    reference: str
    several: bool


def compared(function: AnswerFunction, compare: Compare, plain: bool = False) -> Judge:
    """A judge that extracts by the function's rule and compares; `plain`: by exact match's own rules."""

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        return [_one(answer) for answer in answers]

    def _one(answer: Answer) -> Verdict:
        taken = take(answer, function, plain)
        if isinstance(taken, Verdict):
            return taken
        value, why = compare(taken.answer, taken.reference)
        return Verdict(value, of_several(taken, why), taken.answer)

    return judge


def take(answer: Answer, function: AnswerFunction, plain: bool = False) -> Verdict | Taken:
    """What is compared with what, or the verdict where there is nothing to compare."""
    if not answer.reference.strip():
        return failed(text("there is no reference answer to compare with"))
    try:
        found = (extract_plain if plain else extract)(looked_at(answer.completion, function), function)
        reference = wanted(answer.reference, function, plain)
    except TimeoutError:
        return failed(text("the pattern took too long on it"))
    if found.answer is None:
        return Verdict(0.0, found.why or text("there is no answer in it"))
    return Taken(found.answer, reference, found.several)


def of_several(taken: Taken, why: Text) -> Text:
    """A reason that also says that the answer was the last of several."""
    return text("{why}; of several answers the last one counts", why=why) if taken.several else why


def verdict_text(right: bool, answer: str, reference: str) -> Text:
    """That two texts are equal, or not."""
    if right:
        return text("“{answer}” is the reference", answer=short(answer))
    return text("“{answer}” is not “{reference}”", answer=short(answer), reference=short(reference))


def short(said: str) -> str:
    """The beginning of a text, for a sentence."""
    return said if len(said) <= SHOWN else said[: SHOWN - 1] + "…"

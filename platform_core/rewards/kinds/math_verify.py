"""The answer is mathematically equal to the reference, by math_verify in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from platform_core.errors import text
from platform_core.jobs.spec import setting
from platform_core.rewards.answer import Answer, Verdict
from platform_core.rewards.function import AnswerFunction, Extraction, extraction_field
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.matching import Taken, of_several, short, take, verdict_text
from platform_core.rewards.math_pool import Compared
from platform_core.rewards.numbers import latin_digits
from platform_core.rewards.resources import Resources


class MathVerify(AnswerFunction):
    kind: ClassVar[str] = "math_verify"

    extraction: Extraction = extraction_field("boxed")
    precision: int = setting(6, title="Decimals", help="Numbers are equal when so many decimals are.", ge=0, le=15)
    seconds: float = setting(
        2.0,
        title="Time limit",
        help="For one comparison; an answer that takes longer counts as wrong.",
        unit="s",
        advanced=True,
        ge=1,
        le=60,
    )


def open_(function: MathVerify, resources: Resources) -> Judge:
    """1 when sympy finds both equal, else 0; what can't be decided in time is wrong."""

    pool = resources.math()

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        taken = [take(answer, function) for answer in answers]
        pairs = [_pair(t, function) for t in taken if not isinstance(t, Verdict)]
        found = iter(pool.compare(pairs, function.precision, function.seconds)) if pairs else iter(())
        return [t if isinstance(t, Verdict) else _verdict(t, next(found)) for t in taken]

    return judge


def _pair(taken: Taken, function: MathVerify) -> tuple[str, str]:
    answer, reference = taken.answer, taken.reference
    if function.extraction == "marker":
        answer, reference = (t.strip().partition("\n")[0] for t in (answer, reference))
    return latin_digits(reference.strip().strip("$")), latin_digits(answer.strip().strip("$"))


def _verdict(taken: Taken, compared: Compared) -> Verdict:
    answer, reference = taken.answer, taken.reference
    if compared.late:
        why = text("“{answer}” could not be worked out in time: it counts as wrong", answer=short(answer))
    elif not compared.gold_read:
        why = text("the reference “{reference}” is no mathematics", reference=short(reference))
    elif not compared.answer_read:
        why = text("“{answer}” is no mathematics", answer=short(answer))
    else:
        why = verdict_text(compared.equal, answer, reference)
    return Verdict(float(compared.equal), of_several(taken, why), answer)


KIND = Kind(
    spec=MathVerify,
    title="Mathematics",
    summary="1 when the answer is mathematically equal to the reference: 1/2, 0.5 and \\frac{1}{2} are.",
    icon="function",
    open=open_,
    where="pool",
    order=15,
)

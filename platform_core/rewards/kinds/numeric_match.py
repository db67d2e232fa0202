"""The answer is the same number as the reference, however it is written."""

from __future__ import annotations

from typing import ClassVar, Literal

from platform_core.errors import Text, text
from platform_core.jobs.spec import setting
from platform_core.rewards.comparison import numbers, same_number
from platform_core.rewards.function import AnswerFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.matching import compared, short, verdict_text
from platform_core.rewards.resources import Resources


class NumericMatch(AnswerFunction):
    kind: ClassVar[str] = "numeric_match"

    relative_tolerance: float = setting(
        0.0, title="Relative tolerance", help="Share of the reference that the answer may be off: 0.01 is 1 %.",
        ge=0, le=1, step=0.001,
    )  # fmt: skip
    absolute_tolerance: float = setting(
        0.0, title="Absolute tolerance", help="What the answer may be off in any case.", ge=0, le=1e12, step=0.001
    )
    percent: Literal["fraction", "number"] = setting(
        "fraction",
        title="50 % is",
        help="The value of a number in per cent.",
        labels={"fraction": "0.5", "number": "50"},
    )
    units: bool = setting(False, title="Units must match", help="“5 km” is not “5 m”. Off: what follows is ignored.")
    decimal_comma: bool = setting(
        False, title="Decimal comma", help="1.234,5 as in German or French, in answers and references.", advanced=True
    )


def open_(function: NumericMatch, resources: Resources) -> Judge:
    """1 when both are the same number within the tolerance, else 0."""

    def compare(said: str, wanted: str) -> tuple[float, Text]:
        if function.extraction == "marker":
            said, wanted = (t.strip().partition("\n")[0] for t in (said, wanted))
        answer, reference = numbers(said, wanted, function.decimal_comma)
        if reference is None:
            return 0.0, text("the reference “{reference}” is no number", reference=short(wanted))
        if answer is None:
            return 0.0, text("“{answer}” is no number", answer=short(said))
        right = same_number(
            answer,
            reference,
            function.relative_tolerance,
            function.absolute_tolerance,
            function.percent,
            function.units,
        )
        return float(right), verdict_text(right, said, wanted)

    return compared(function, compare)


KIND = Kind(
    spec=NumericMatch,
    title="Numeric match",
    summary="1 when both are the same number: fractions, per cent, thousands, powers of ten and units are read.",
    icon="pin",
    open=open_,
    order=20,
)

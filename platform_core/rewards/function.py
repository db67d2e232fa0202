"""The settings that functions of a reward share."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import regex
from pydantic import BaseModel, ConfigDict, model_validator

from platform_core.jobs.spec import cross_field, setting

Extraction = Literal["boxed", "last_number", "marker", "tag", "json", "regex", "whole"]
EXTRACTION_LABELS = {
    "boxed": "In \\boxed{…}",
    "last_number": "The last number",
    "marker": "After a marker",
    "tag": "In a tag",
    "json": "In JSON",
    "regex": "Where a pattern matches",
    "whole": "The whole text",
}
CLIP: dict[str, Any] = {"empty": "no limit", "group": "Clip", "advanced": True, "ge": -1_000_000, "le": 1_000_000}


def extraction_field(default: Extraction) -> Any:
    """Where in a completion the answer stands that is compared."""
    return setting(
        default,
        title="Answer is",
        help="Where in a completion the answer stands; of several, the last one counts.",
        labels=EXTRACTION_LABELS,
    )


def clip_low_field() -> Any:
    """The lower end of the range that a value is moved into."""
    return setting(None, title="At least", help="Lower values are raised to this. Empty: no limit.", **CLIP)


def clip_high_field() -> Any:
    """The upper end of that range."""
    return setting(None, title="At most", help="Higher values are lowered to this. Empty: no limit.", **CLIP)


class RewardFunction(BaseModel):
    """One function of a reward: its weight in the sum and the range its value is clipped to."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())
    kind: ClassVar[str]

    weight: float = setting(
        1.0, title="Weight", help="The function's value counts so many times in the sum.", ge=-1000, le=1000, step=0.1
    )
    clip_low: float | None = clip_low_field()
    clip_high: float | None = clip_high_field()

    @model_validator(mode="after")
    def clip_is_a_range(self) -> RewardFunction:
        check_range(self.clip_low, self.clip_high)
        return self


class AnswerFunction(RewardFunction):
    """A function that takes the answer out of a completion first."""

    extraction: Extraction = extraction_field("last_number")
    marker: str = setting(
        "#",
        title="Marker",
        help="The answer follows the last one.",
        min_length=1,
        max_length=64,
        shown_if={"extraction": ("marker",)},
    )
    tag: str = setting(
        "answer",
        title="Tag",
        help="The answer stands between <tag> and </tag>.",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$",
        shown_if={"extraction": ("tag",)},
    )
    json_path: str = setting(
        "answer",
        title="JSON path",
        help="Keys and places with dots, such as `result.values.0`, in the last JSON object of the completion.",
        min_length=1,
        max_length=200,
        shown_if={"extraction": ("json",)},
    )
    pattern: str = setting(
        r"answer is (.+)",
        title="Pattern",
        help="A regular expression; its first group, or all of the last match, is the answer.",
        min_length=1,
        max_length=1000,
        shown_if={"extraction": ("regex",)},
    )
    cut_thinking: bool = setting(
        True, title="Leave out the thinking", help="What stands in <think>…</think> is no answer."
    )

    @model_validator(mode="after")
    def pattern_compiles(self) -> AnswerFunction:
        if self.extraction == "regex":
            check_pattern(self.pattern, "pattern")
        return self


def check_range(low: float | None, high: float | None) -> None:
    """Raise the error of a clip whose ends are the wrong way round."""
    if low is not None and high is not None and low > high:
        raise cross_field("The clip from {low} to {high} holds nothing: swap them.", "clip_low", low=low, high=high)


def check_pattern(pattern: str, field: str) -> None:
    """Raise the error of a regular expression that can't be read."""
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise cross_field("The pattern can't be read: {reason}.", field, reason=str(error)) from None

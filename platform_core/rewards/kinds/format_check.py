"""The completion has the wanted form: tags in order, or patterns; partial credit for each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import regex
from pydantic import model_validator

from platform_core.errors import Text, text
from platform_core.jobs.spec import cross_field, setting
from platform_core.rewards.answer import Answer, Verdict, failed
from platform_core.rewards.extraction import LOOKED_AT, PATTERN_SECONDS
from platform_core.rewards.function import RewardFunction, check_pattern
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.resources import Resources


class FormatCheck(RewardFunction):
    kind: ClassVar[str] = "format_check"

    check: Literal["tags", "patterns"] = setting(
        "tags",
        title="Form",
        help="Tags one after the other with nothing outside, or regular expressions that must match.",
        labels={"tags": "Tags", "patterns": "Patterns"},
    )
    tags: str = setting(
        "think, answer",
        title="Tags",
        help="Names in their order, with commas; each is opened and closed once.",
        min_length=1,
        max_length=200,
        shown_if={"check": ("tags",)},
    )
    patterns: str = setting(
        r"\\boxed\{",
        title="Patterns",
        help="Regular expressions, one a line; each must match somewhere.",
        min_length=1,
        max_length=4000,
        lines=4,
        shown_if={"check": ("patterns",)},
    )
    partial: bool = setting(True, title="Partial credit", help="The share of what is right, instead of all or nothing.")

    @property
    def names(self) -> list[str]:
        """The tags in their order."""
        return [name.strip() for name in self.tags.split(",") if name.strip()]

    @property
    def lines(self) -> list[str]:
        """The patterns."""
        return [line for line in self.patterns.splitlines() if line.strip()]

    @model_validator(mode="after")
    def form_can_be_read(self) -> FormatCheck:
        if self.check == "patterns":
            for line in self.lines:
                check_pattern(line, "patterns")
        wrong = [name for name in self.names if not regex.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", name)]
        if self.check == "tags" and (wrong or not self.names):
            raise cross_field("“{tag}” can't be a tag: write names such as think, answer.", "tags",
                              tag=(wrong or [self.tags])[0][:40])  # fmt: skip
        return self


def open_(function: FormatCheck, resources: Resources) -> Judge:
    """The share of the form that is there, or 1 and 0."""

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        return [_one(answer.completion) for answer in answers]

    def _one(completion: str) -> Verdict:
        said = completion if len(completion) <= LOOKED_AT else completion[:1000] + completion[-LOOKED_AT:]
        try:
            missing, of = (
                _missing_tags(said, function.names) if function.check == "tags" else _unmatched(said, function.lines)
            )
        except TimeoutError:
            return failed(text("a pattern took too long on it"))
        share = 1 - len(missing) / of
        value = share if function.partial else float(not missing)
        return Verdict(value, missing[0] if missing else text("it has the wanted form"))

    return judge


def _missing_tags(said: str, names: Sequence[str]) -> tuple[list[Text], int]:
    """What is wrong with the tags, and how much could be: each tag, and their order with nothing outside."""
    wrong = [
        text("<{tag}>…</{tag}> does not stand in it exactly once", tag=name)
        for name in names
        if said.count(f"<{name}>") != 1
        or said.count(f"</{name}>") != 1
        or said.index(f"<{name}>") > said.index(f"</{name}>")
    ]
    rest, in_order = said, not wrong
    for name in names if in_order else ():
        before, _, after = rest.partition(f"<{name}>")
        _inside, closed, rest = after.partition(f"</{name}>")
        in_order = in_order and bool(closed) and not before.strip()
    if not in_order or rest.strip():
        wrong.append(text("something stands outside of its tags, or they are in another order"))
    return wrong, len(names) + 1


def _unmatched(said: str, patterns: Sequence[str]) -> tuple[list[Text], int]:
    wrong = [
        text("the pattern {pattern} does not match", pattern=pattern[:60])
        for pattern in patterns
        if not regex.search(pattern, said, flags=regex.MULTILINE, timeout=PATTERN_SECONDS)
    ]
    return wrong, len(patterns)


KIND = Kind(
    spec=FormatCheck,
    title="Form",
    summary="The share of the wanted form that is there: tags in order, or patterns.",
    icon="data_object",
    open=open_,
    order=40,
)

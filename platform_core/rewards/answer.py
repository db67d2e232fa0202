"""What is scored, and what a reward says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from platform_core.errors import Text


@dataclass(frozen=True)
class Answer:
    """One completion with what it is judged by; `row` holds the fields of its dataset row, `number` counts from 1."""

    completion: str
    reference: str = ""
    prompt: str = ""
    row: Mapping[str, object] = field(default_factory=dict)
    number: int | None = None

    def text_of(self, name: str) -> str:
        """A field of the row as a text: JSON for lists and objects, empty where there is none."""
        value = self.row.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class Verdict:
    """What one function says of one answer: a value, or None and the error."""

    value: float | None
    why: Text
    extracted: str | None = None
    error: Text | None = None


@dataclass(frozen=True)
class Part:
    """The share of one function in a score: its value after its own clip, before its weight."""

    name: str
    kind: str
    value: float | None
    weight: float
    extracted: str | None
    why: Text
    error: Text | None = None


@dataclass(frozen=True)
class Score:
    """The reward of one answer; `seconds` of wall time, a batch's divided by its answers; `error` of the first part
    that could not be scored."""

    value: float
    parts: Sequence[Part]
    seconds: float
    error: Text | None = None


def failed(error: Text) -> Verdict:
    """A verdict without a value."""
    return Verdict(None, error, None, error)

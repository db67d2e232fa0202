"""Sentences for people: an English template and its values, so that a page can say them in the reader's language.

A sentence names the thing, the reason and the way out. Tracebacks go to the log, never here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

EXPONENT = re.compile(r"e(?:\+|(-))0*")


@dataclass(frozen=True)
class Text:
    """A sentence as an English template (`"{n} rows"`) and its values; `str()` gives the English."""

    template: str
    values: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return fill(self.template, self.values)

    def as_json(self) -> dict[str, object]:
        return {"template": self.template, "values": {k: _to_json(v) for k, v in self.values.items()}}

    @classmethod
    def from_json(cls, data: object) -> Text:
        """Read back what `as_json` wrote; a bare string becomes a text without values."""
        if isinstance(data, dict) and isinstance(data.get("template"), str):
            values = data.get("values")
            values = values if isinstance(values, dict) else {}
            return cls(data["template"], {k: cls.from_json(v) if isinstance(v, dict) else v for k, v in values.items()})
        return cls("{text}", {"text": "" if data is None else str(data)})


class Problem(Exception):
    """What a person asked for can't be done: a sentence with thing, reason and way out.

    `fields` names the settings of a form beside which the sentence belongs.
    """

    def __init__(self, template: str, /, *, fields: tuple[str, ...] = (), **values: object) -> None:
        self.text = Text(template, values)
        self.fields = fields
        super().__init__(template)

    @classmethod
    def of(cls, said: Text) -> Problem:
        """The problem that a sentence made elsewhere speaks of."""
        problem = cls(said.template)
        problem.text = said
        return problem

    def __str__(self) -> str:
        return str(self.text)


def text(template: str, /, **values: object) -> Text:
    """Mark a sentence for translation: `text("{n} rows", n=3)`."""
    return Text(template, values)


class _Numbers(Formatter):
    """Formats as `str.format` does, and numbers as people write them: 5e-6, not 5e-06."""

    def format_field(self, value: Any, format_spec: str) -> str:
        said = str(super().format_field(value, format_spec))
        return EXPONENT.sub(r"e\1", said) if isinstance(value, float) else said


_NUMBERS = _Numbers()


def fill(template: str, values: dict[str, object]) -> str:
    """Put values into a template; a template without values is left alone, braces included."""
    return _NUMBERS.vformat(template, (), values) if values else template


def _to_json(value: object) -> object:
    if isinstance(value, Text):
        return value.as_json()
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)

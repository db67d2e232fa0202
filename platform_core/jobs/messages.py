"""Validation in our words: Pydantic's errors as sentences about a setting, for the form and the command line alike."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from platform_core.errors import Text, text
from platform_core.jobs.spec import Setting, setting_of

S = TypeVar("S", bound=BaseModel)
Level = Literal["missing", "error", "warning", "usual"]
FEW = 12


@dataclass(frozen=True)
class Finding:
    """A sentence about a spec; `fields` are the settings beside which it stands (empty: about the whole)."""

    level: Level
    text: Text
    fields: tuple[str, ...] = ()

    @property
    def forbids(self) -> bool:
        """Whether the job can't run like that."""
        return self.level in ("missing", "error")


def validate(spec_class: type[S], values: Mapping[str, Any]) -> tuple[S | None, list[Finding]]:
    """The spec of a job, or the operator's options; None with what is wrong. Unusual values come as warnings."""
    empty = {k for k, f in spec_class.model_fields.items() if f.is_required() and values.get(k) in (None, "")}
    try:
        spec = spec_class.model_validate({k: v for k, v in values.items() if k not in empty})
    except ValidationError as error:
        return None, explain(spec_class, error)
    return spec, outside_recommended(spec)


def explain(spec_class: type[BaseModel], error: ValidationError) -> list[Finding]:
    """One finding for each error of a validation."""
    findings = []
    for e in error.errors(include_url=False):
        name = str(e["loc"][0]) if e["loc"] else ""
        field = spec_class.model_fields.get(name)
        ctx: dict[str, Any] = dict(e.get("ctx", {}))
        if e["type"] == "cross_field":
            fields = tuple(ctx.pop("fields", ()))
            template = str(ctx.pop("template", "")) or None
            findings.append(Finding("error", Text(template, ctx) if template else Text(e["msg"]), fields))
        elif field is None:
            findings.append(Finding("error", unknown(name, list(spec_class.model_fields))))
        else:
            level: Level = "missing" if _is_missing(e) else "error"
            findings.append(Finding(level, sentence(setting_of(field, name), e["type"], ctx, e.get("input")), (name,)))
    return findings


def unknown(name: str, known: list[str]) -> Text:
    """There is no such setting: the one that was meant where that can be guessed, else all while they are few."""
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        meant = ", ".join(close)
        return text("“{name}” is not a setting of this kind; did you mean {meant}?", name=name[:60], meant=meant)
    if len(known) <= FEW:
        names = ", ".join(known)
        return text("“{name}” is not a setting of this kind; known are {known}.", name=name[:60], known=names)
    return text("“{name}” is not a setting of this kind: its form and its `--help` show all {n}.",
                name=name[:60], n=len(known))  # fmt: skip


def sentence(setting: Setting, kind: str, ctx: Mapping[str, Any], value: object) -> Text:
    """What is wrong with the value of one setting."""
    title, shown = setting.title, str(value)[:60]
    if kind == "missing" or value is None or value == "":
        return text("{title} is needed.", title=title)
    if shown.strip().lower().lstrip("+-") == "nan":
        kind = "finite_number"
    if (
        kind in ("less_than_equal", "less_than")
        and setting.scientific
        and re.fullmatch(r"\s*[\d.]+[eE]\d+\s*", str(value))
    ):
        guess = re.sub(r"[eE]", "e-", str(value)).strip()
        return text("{title} is {value}, far above 1: did you mean {guess}?", title=title, value=shown, guess=guess)
    if kind == "greater_than":
        return text(
            "{title} must be greater than {limit}; it is {value}.", title=title, limit=short(ctx["gt"]), value=shown
        )
    if kind == "greater_than_equal":
        return text(
            "{title} must be at least {limit}; it is {value}.", title=title, limit=short(ctx["ge"]), value=shown
        )
    if kind == "less_than":
        return text(
            "{title} must be less than {limit}; it is {value}.", title=title, limit=short(ctx["lt"]), value=shown
        )
    if kind == "less_than_equal":
        return text("{title} must be at most {limit}; it is {value}.", title=title, limit=short(ctx["le"]), value=shown)
    if kind.startswith("float") or kind == "finite_number":
        example = "2e-5" if setting.scientific else "0.1"
        return text(
            "{title} must be a number such as {example}; “{value}” is none.", title=title, example=example, value=shown
        )
    if kind.startswith("int"):
        return text("{title} must be a whole number; “{value}” is none.", title=title, value=shown)
    if kind == "literal_error":
        return text(
            "{title} must be one of {choices}; it is “{value}”.", title=title, choices=ctx["expected"], value=shown
        )
    if kind.startswith("bool"):
        return text("{title} must be on or off (true or false); it is “{value}”.", title=title, value=shown)
    if kind == "string_pattern_mismatch":
        return text("{title} can't be “{value}”.", title=title, value=shown)
    if kind.startswith("string_too_short"):
        return text("{title} must not be empty.", title=title)
    if kind.startswith("string"):
        return text(
            "{title} must be a text of at most {limit} characters.", title=title, limit=ctx.get("max_length", 200)
        )
    return text("{title} can't be “{value}”.", title=title, value=shown)


def short(limit: object) -> object:
    """A limit as it is read: "10,000" for 10000.0, "1e-08" for what is tiny."""
    if not isinstance(limit, int | float):
        return limit
    return f"{limit:,.0f}" if limit == round(limit) else f"{limit:g}"


def outside_recommended(spec: BaseModel) -> list[Finding]:
    """Warnings for values outside the range that guides recommend."""
    findings = []
    for name, field in type(spec).model_fields.items():
        setting, value = setting_of(field, name), getattr(spec, name)
        if setting.recommended is None or value is None:
            continue
        low, high = setting.recommended
        if not low <= value <= high:
            sentence = text(
                "{title} {value} is outside the usual {low} to {high}.",
                title=setting.title,
                value=f"{value:g}",
                low=f"{low:g}",
                high=f"{high:g}",
            )
            findings.append(Finding("warning", sentence, (name,)))
    return findings


def _is_missing(error: Any) -> bool:
    return error["type"] == "missing" or error.get("input") in (None, "")

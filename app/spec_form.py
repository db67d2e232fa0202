"""A job spec or the operator's options as a form: widgets from the types and `Setting`s, findings beside the fields.

Widgets are live, so that a choice can show or hide others and a mistake is said at once. What was typed is kept in a
draft of the session, which outlives a change of page.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.page import link, plain
from app.sizes import short, tidy, typed
from app.words import _, say
from platform_core.errors import Text
from platform_core.jobs.messages import Finding, validate
from platform_core.jobs.spec import Pick, Setting, is_shown, setting_of

LARGEST_INT = 2**53 - 1
ON, OFF = ("true", "on", "yes", "1"), ("false", "off", "no", "0")
LETTER, SEGMENT, NARROW = 7.5, 28, 175  # pixels: what fits beside each other in one column
S = TypeVar("S", bound=BaseModel)
Judge = Callable[[dict[str, Any]], tuple[S | None, list[Finding]]]


@dataclass(frozen=True)
class Choice:
    """An entry of a picker: what the spec says, what the page says, and whether it suits this kind of job."""

    value: str
    label: str
    fits: bool = True


@dataclass(frozen=True)
class Form(Generic[S]):
    """What a form holds: the settings as typed, the spec when it can run, and all that is to be said about it."""

    values: dict[str, Any]
    spec: S | None
    findings: list[Finding]


class Misfit(ValueError):
    """A value that the widget of a field can't show."""


def spec_form(
    spec_class: type[S],
    key: str,
    choices: Mapping[Pick, Sequence[Choice]],
    judge: Judge[S] | None = None,
    pointless: Sequence[str] = (),
) -> Form[S]:
    """Draw every setting that matters now, judge what is typed, say what is found beside each field.

    `pointless`: settings that this machine has no use for; one that holds a value is drawn nevertheless.
    """
    fields = spec_class.model_fields
    values: dict[str, Any] = {}
    slots: dict[str, Any] = {}
    prefill(spec_class, key, choices)
    known = {n: st.session_state.get(f"{key}.{n}", draft(key).get(n, default_of(f))) for n, f in fields.items()}
    order = [n for n in ordered(spec_class) if n not in pointless or known[n] not in (None, "")]

    def group(members: list[str]) -> None:
        picks = any(setting_of(fields[n]).pick not in (None, "environment") for n in members)
        with st.grid(2 if picks else 3, min_column_width=250 if picks else 165, gap=("xsmall", "small")):
            for name in members:
                with st.container(key=f"{key}-{name}", gap="xxsmall"):
                    values[name] = widget(name, fields[name], f"{key}.{name}", key, choices)
                    known[name] = values[name]
                    slots[name] = st.empty()

    for title, members in grouped(spec_class, [n for n in order if not setting_of(fields[n]).advanced], known):
        if title != "Basics":
            st.markdown(f"###### {_(title)}")  # words: settings
        group(members)
    rest = [n for n in order if setting_of(fields[n]).advanced]
    if rest:
        with st.expander(_("Advanced"), icon=":material/tune:", key=f"{key}-advanced"):
            for title, members in grouped(spec_class, rest, known):
                st.markdown(f"###### {_(title)}")  # words: settings
                group(members)
    draft(key).update(values)
    given = {n: v for n, v in values.items() if v is not None or not fields[n].is_required()}
    spec, findings = (judge or (lambda v: validate(spec_class, v)))(given)
    findings = [*findings, *between_fields(spec_class, given, findings)]
    for name, slot in slots.items():
        say_beside(slot, setting_of(fields[name], name), [f for f in findings if name in f.fields])
    return Form(given, spec, findings)


def between_fields(spec_class: type[BaseModel], given: Mapping[str, Any], findings: Sequence[Finding]) -> list[Finding]:
    """Errors between fields that Pydantic does not look for while another field is still empty."""
    missing = [name for f in findings if f.level == "missing" for name in f.fields]
    if not missing or any(f.level == "error" for f in findings):
        return []
    told = validate(spec_class, {**given, **dict.fromkeys(missing, "?")})[1]
    return [f for f in told if f.level == "error" and not set(f.fields) & set(missing)]


def ordered(spec_class: type[BaseModel]) -> list[str]:
    """The settings that a kind declares itself before those it shares with others; switches after the rest."""
    declared = [
        n for c in spec_class.__mro__ for n in vars(c).get("__annotations__", ()) if n in spec_class.model_fields
    ]
    names = list(dict.fromkeys([*declared, *spec_class.model_fields]))
    return sorted(names, key=lambda n: plain_type(spec_class.model_fields[n])[0] is bool)


def grouped(
    spec_class: type[BaseModel], names: Iterable[str], known: Mapping[str, object]
) -> list[tuple[str, list[str]]]:
    """Settings that matter now by group; "Basics" first, then what the model is rewarded for; "Run" last."""
    groups: dict[str, list[str]] = {}
    for name in names:
        made = setting_of(spec_class.model_fields[name], name)
        if is_shown(made, known):
            groups.setdefault(made.group, []).append(name)
    return sorted(groups.items(), key=lambda g: {"Basics": -2, "Reward": -1, "Run": 1}.get(g[0], 0))


def widget(name: str, field: FieldInfo, wkey: str, key: str, choices: Mapping[Pick, Sequence[Choice]]) -> Any:
    """The widget of one setting; the value in it, None when it is empty."""
    made, (kind, optional) = setting_of(field, name), plain_type(field)
    unit = _(made.unit) if made.unit and made.unit not in made.title.lower() else ""
    common: dict[str, Any] = {
        "label": plain(_(made.title) + (f" ({unit})" if unit else "")),
        "help": plain(_(made.help)) or None,
        "key": wkey,
    }
    start = draft(key).get(name, default_of(field))
    if wkey not in st.session_state:
        try:
            st.session_state[wkey] = to_widget(field, start)
        except Misfit:
            st.session_state[wkey] = to_widget(field, default_of(field))
    if made.pick:
        chosen = picker(made.pick, st.session_state[wkey], choices.get(made.pick, ()), common)
        if made.pick == "reward" and chosen:
            link("rewards", _("Try this reward on answers"), "science", name=str(chosen))
        return chosen
    if get_origin(kind) is Literal:
        names = list(get_args(kind))
        labels = {n: _(str((made.labels or {}).get(n, n))) for n in names}  # words: settings
        if sum(LETTER * len(t) + SEGMENT for t in labels.values()) < NARROW:
            return st.segmented_control(
                options=names, format_func=lambda n: plain(labels[n]), required=not optional, **common
            )
        return st.selectbox(options=names, format_func=lambda n: labels[n], **common)
    if kind is bool:
        return st.toggle(**common)
    without = _(made.empty) if optional else None  # words: settings
    if kind is int:
        return st.number_input(step=int(made.step or 1), placeholder=without, **common)
    if kind is float and not made.scientific:
        return st.number_input(step=float(made.step or 0.1), format="%g", placeholder=without, **common)
    text = (st.text_area(height="content", **common) if made.lines > 1 else st.text_input(**common)).strip()
    return text or None


def picker(pick: Pick, current: object, entries: Sequence[Choice], common: dict[str, Any]) -> Any:
    """A choice among what the library holds; models and tokenizers may also be typed as a path."""
    labels = {c.value: c.label for c in entries}
    options = [*labels, *([str(current)] if current is not None and current not in labels else [])]
    empty = {
        "model": _("No model yet"),
        "tokenizer": _("No tokenizer yet"),
        "dataset": _("No dataset yet"),
        "reward": "",
        "environment": _("The platform's own"),
    }
    return st.selectbox(
        options=options,
        format_func=lambda value: labels.get(value, value),
        placeholder=empty[pick] if pick == "environment" or not options else _("Choose"),
        index=None,
        accept_new_options=pick in ("model", "tokenizer"),
        **common,
    )


def say_beside(slot: Any, made: Setting, findings: Sequence[Finding]) -> None:
    """One line under a field: what is wrong, else what is unusual, else what is usual."""
    for level, colour, icon in (("error", "red", "error"), ("warning", "orange", "warning")):
        said = [f for f in findings if f.level == level]
        if said:
            slot.markdown(f":small[:{colour}[:material/{icon}: {plain(say(localised(said[0].text)))}]]")
            return
    if any(f.level == "missing" for f in findings):
        slot.caption(_("Needed"))
    elif known := [f for f in findings if f.level == "usual"]:
        slot.caption(plain(say(localised(known[0].text))))
    elif made.recommended:
        low, high = made.recommended
        slot.caption(_("usual {low} to {high}", low=short(low), high=short(high)))


def localised(said: Text) -> Text:
    """A finding whose setting is named in the reader's language, too."""
    values = {k: tidy(v) if isinstance(v, str) else v for k, v in said.values.items()}
    title = said.values.get("title")
    if isinstance(title, str):
        values["title"] = Text(title)  # words: settings
    return replace(said, values=values)


def draft(key: str) -> dict[str, Any]:
    """What was typed into a form of this session."""
    kept: dict[str, Any] = st.session_state.setdefault(f"draft:{key}", {})
    return kept


def fill(spec_class: type[BaseModel], key: str, values: Mapping[str, Any]) -> list[Finding]:
    """Put values into a form before it is drawn; nothing is changed when some can't be shown, and they are told."""
    ready: dict[str, Any] = {}
    wrong = [name for name in values if name not in spec_class.model_fields]
    for name, field in spec_class.model_fields.items():
        try:
            ready[name] = to_widget(field, values.get(name, default_of(field)))
        except Misfit:
            wrong.append(name)
    if wrong:
        told = validate(spec_class, values)[1]
        about = [f for f in told if f.level == "error" and (not f.fields or set(f.fields) & set(wrong))]
        return about or [Finding("error", Text("{names}: these values can't be used.", {"names": ", ".join(wrong)}))]
    draft(key).clear()
    for name, value in ready.items():
        draft(key)[name] = value
        if value is None:
            st.session_state.pop(f"{key}.{name}", None)
        else:
            st.session_state[f"{key}.{name}"] = value
    return []


def prefill(spec_class: type[BaseModel], key: str, choices: Mapping[Pick, Sequence[Choice]]) -> None:
    """Where only one thing of the library suits, it is chosen; what stands under "Advanced" is left empty."""
    for name, field in spec_class.model_fields.items():
        pick, wkey = setting_of(field).pick, f"{key}.{name}"
        if pick and not setting_of(field).advanced and wkey not in st.session_state and draft(key).get(name) is None:
            suiting = [c for c in choices.get(pick, ()) if c.fits]
            if len(suiting) == 1:
                draft(key)[name] = suiting[0].value


def default_of(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def to_widget(field: FieldInfo, value: Any) -> Any:
    """A value as the widget of its field holds it; raises Misfit."""
    made, (kind, _optional) = setting_of(field), plain_type(field)
    if made.pick:
        return None if value in (None, "") else scalar(value)
    if get_origin(kind) is Literal:
        return next((n for n in get_args(kind) if n == value), None) or refuse(value)
    if kind is bool:
        word = str(value).lower()
        return True if word in ON else False if word in OFF else refuse(value)
    if kind is int or (kind is float and not made.scientific):
        return None if value in (None, "") else number(value, kind)
    if kind is float:
        return "" if value is None else typed(value) if isinstance(value, float) else scalar(value)
    return "" if value is None else scalar(value)


def number(value: Any, kind: type) -> int | float:
    """A whole or a real number that a number field can hold; raises Misfit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        refuse(value)
    try:
        real = float(value)
        if not isfinite(real) or abs(real) > LARGEST_INT or (kind is int and real != int(real)):
            refuse(value)
        return int(value) if kind is int and isinstance(value, int) else kind(real)
    except ValueError:
        return refuse(value)


def scalar(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else refuse(value)


def refuse(value: object) -> Any:
    raise Misfit(repr(value)[:60])


def plain_type(field: FieldInfo) -> tuple[Any, bool]:
    """The type of a field without Annotated and Optional, and whether it may be empty."""
    annotation, optional = field.annotation, False
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [a for a in get_args(annotation) if a is not type(None)]
            optional = optional or len(rest) < len(get_args(annotation))
            annotation = rest[0]
        else:
            return annotation, optional

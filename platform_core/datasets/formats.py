"""The formats of training data as one table: how to know a format, read it, and turn it into what a trainer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from platform_core.datasets import readers
from platform_core.datasets import samples as s
from platform_core.datasets.readers import Converted
from platform_core.datasets.samples import Columns, Unusable, Value
from platform_core.errors import Problem, Text

FIELD_NAMES = frozenset(name for names in s.ALIASES.values() for name in names)


@dataclass(frozen=True)
class Format:
    """One row of the table.

    `parts` are the roles that columns can be mapped to; `matches` tells whether a row has this shape; `read` raises
    Unusable or gives the parts; `hides` names formats that a row of this one also seems to have, without being meant
    as such.
    """

    name: str
    title: str
    holds: str
    parts: tuple[str, ...]
    matches: Callable[[Value], bool]
    read: Callable[[Value, Columns | None], Converted]
    example: Mapping[str, Any]
    hides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guess:
    """A format that the rows may have: the share of rows with its shape, and what they then hold."""

    format: str
    share: float
    why: Text


def _has(value: Value, part: str, test: Callable[[object], bool] = s.is_text) -> bool:
    return any(name in value and test(value[name]) for name in s.ALIASES[part])


def _is_pair(value: Value) -> bool:
    return s.is_side(value.get("chosen")) and s.is_side(value.get("rejected"))


def _has_prompt(value: Value) -> bool:
    return _has(value, "prompt", s.is_side)


def _has_label(value: Value) -> bool:
    return _has(value, "label", lambda label: s.rating(label) is not None)


CHAT = [{"role": "user", "content": "2+3="}, {"role": "assistant", "content": "5"}]
TABLE: tuple[Format, ...] = (
    Format(
        "hh_transcript",
        "Human/Assistant transcripts",
        "pairs of transcripts (“Human: … Assistant: …” in `chosen` and `rejected`)",
        ("chosen", "rejected"),
        lambda v: s.is_transcript(v.get("chosen")) and s.is_transcript(v.get("rejected")),
        readers.read_transcript,
        {"chosen": "\n\nHuman: 2+3=\n\nAssistant: 5", "rejected": "\n\nHuman: 2+3=\n\nAssistant: 6"},
        hides=("reward_pairs",),
    ),
    Format(
        "dpo",
        "Preference pairs",
        "preference pairs (prompt, `chosen`, `rejected`)",
        ("prompt", "chosen", "rejected"),
        lambda v: (
            _is_pair(v)
            and (_has_prompt(v) or s.is_sharegpt(v.get("conversations")) or s.is_messages(v.get("conversations")))
        ),
        readers.read_dpo,
        {"prompt": "2+3=", "chosen": "5", "rejected": "6"},
        hides=("reward_pairs", "prompt_only", "chatml", "sharegpt"),
    ),
    Format(
        "reward_pairs",
        "Reward pairs",
        "answers compared in pairs (`chosen`, `rejected`) without a prompt",
        ("chosen", "rejected"),
        _is_pair,
        readers.read_choices,
        {"chosen": "2+3=5", "rejected": "2+3=6"},
        hides=("prompt_only",),
    ),
    Format(
        "kto",
        "Rated answers",
        "answers that are rated true or false (`label`)",
        ("prompt", "response", "label"),
        lambda v: _has_prompt(v) and _has(v, "response", s.is_side) and _has_label(v),
        readers.read_kto,
        {"prompt": "2+3=", "completion": "5", "label": True},
        hides=("prompt_response", "grpo", "evaluation", "prompt_only"),
    ),
    Format(
        "chatml",
        "Chats",
        "chats (`messages` with `role` and `content`)",
        ("messages",),
        lambda v: any(s.is_messages(v.get(name)) for name in s.MESSAGES),
        readers.read_chat,
        {"messages": CHAT},
        hides=("prompt_only",),
    ),
    Format(
        "sharegpt",
        "ShareGPT chats",
        "chats (`conversations` with `from` and `value`)",
        ("messages",),
        lambda v: any(s.is_sharegpt(v.get(name)) for name in s.MESSAGES),
        readers.read_chat,
        {"conversations": [{"from": "human", "value": "2+3="}, {"from": "gpt", "value": "5"}]},
        hides=("prompt_only",),
    ),
    Format(
        "alpaca",
        "Alpaca instructions",
        "instructions with answers (`instruction`, `input`, `output`)",
        ("instruction", "input", "output"),
        lambda v: s.is_text(v.get("instruction")) and s.is_text(v.get("output")),
        readers.read_alpaca,
        {"instruction": "Add the numbers.", "input": "2 and 3", "output": "5"},
        hides=("prompt_response", "prompt_only"),
    ),
    Format(
        "grpo",
        "Prompts with a checkable answer",
        "prompts with an answer that can be checked",
        ("prompt", "answer"),
        lambda v: (
            s.is_side(v.get("prompt"))
            and (
                _has(v, "answer", s.is_scalar)
                or (isinstance(v.get("reward_model"), dict) and "ground_truth" in v["reward_model"])
            )
        ),
        readers.read_grpo,
        {"prompt": "2+3=", "answer": "5"},
        hides=("prompt_only",),
    ),
    Format(
        "evaluation",
        "Test questions",
        "test questions with a reference answer",
        ("prompt", "reference", "category"),
        lambda v: (
            _has(v, "prompt")
            and _has(v, "reference", s.is_scalar)
            and (_has(v, "category", s.is_scalar) or any(is_named(v, name) for name in s.REFERENCE if name != "answer"))
        ),
        readers.read_evaluation,
        {"prompt": "2+3=", "reference": "5", "category": "addition"},
        hides=("prompt_only",),
    ),
    Format(
        "prompt_response",
        "Prompts with responses",
        "prompts with responses",
        ("prompt", "response"),
        lambda v: _has_prompt(v) and (_has(v, "response", s.is_side) or _has(v, "response", s.is_scalar)),
        readers.read_pair,
        {"prompt": "2+3=", "response": "5"},
        hides=("prompt_only",),
    ),
    Format(
        "pretrain",
        "Plain texts",
        "plain texts (`text`)",
        ("text",),
        lambda v: _has(v, "text"),
        readers.read_text,
        {"text": "Two and three make five."},
    ),
    Format(
        "prompt_only",
        "Prompts alone",
        "prompts without answers",
        ("prompt",),
        _has_prompt,
        readers.read_prompt,
        {"prompt": "What is 2+3?"},
    ),
)
FORMATS: dict[str, Format] = {f.name: f for f in TABLE}


def is_named(value: Value, name: str) -> bool:
    return name in value and s.is_scalar(value[name])


def detect(rows: Iterable[Value]) -> list[Guess]:
    """The formats these rows may have, best first; more than one means that a person should look. Rows vote, so that
    one odd row decides nothing.
    """
    seen, first, also = 0, dict.fromkeys(FORMATS, 0), dict.fromkeys(FORMATS, 0)
    for value in rows:
        seen += 1
        hits = matching(value)
        for place, name in enumerate(hits):
            also[name] += 1
            first[name] += place == 0
    order = list(FORMATS)
    found = sorted((n for n in order if also[n]), key=lambda n: (-first[n], -also[n], order.index(n)))
    return [Guess(n, also[n] / seen, Text(FORMATS[n].holds)) for n in found]


def matching(value: Value) -> list[str]:
    """Formats whose shape a row has, the most specific first, without those that are not meant."""
    found: list[str] = []
    hidden: set[str] = set()
    for form in TABLE:
        if form.name not in hidden and form.matches(value):
            found.append(form.name)
            hidden.update(form.hides)
    if (
        "evaluation" not in hidden
        and "evaluation" not in found
        and _has(value, "prompt")
        and _has(value, "reference", s.is_scalar)
    ):
        found.append("evaluation")  # question and answer: to learn from or to test with, only a person knows
    return found


def validate(name: str, value: Value, columns: Columns | None = None) -> Text | None:
    """Why a row can't be used in this format, or None. The phrase follows “Row 12”."""
    try:
        FORMATS[name].read(value, columns)
    except Unusable as error:
        return error.text
    return None


def columns_of(name: str, rows: Iterable[Value]) -> dict[str, str]:
    """Which field plays which part in these rows, by the most frequent choice."""
    votes: dict[str, dict[str, int]] = {part: {} for part in FORMATS[name].parts}
    for value in rows:
        for part, counts in votes.items():
            if (found := s.field(value, part)) is not None:
                counts[found] = counts.get(found, 0) + 1
    return {part: max(counts, key=lambda n: counts[n]) for part, counts in votes.items() if counts}


def check_columns(name: str, columns: Columns | None) -> None:
    """Raise Problem when a mapping names parts that the format does not have."""
    odd = [part for part in columns or {} if part not in FORMATS[name].parts]
    if odd:
        known = ", ".join(FORMATS[name].parts)
        raise Problem(
            "“{part}” can't be mapped for {format}; its parts are {parts}.",
            part=odd[0],
            format=Text(FORMATS[name].title),
            parts=known,
        )

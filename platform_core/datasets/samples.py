"""Reading the fields of one row: which field plays which part, and a sentence when one is missing, empty or of
another kind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from platform_core.errors import Problem

Value = Mapping[str, Any]
Message = dict[str, Any]
Columns = Mapping[str, str]

TEXT = ("text", "content", "raw_content")
PROMPT = ("prompt", "question", "query", "input_text", "instruction", "problem")
RESPONSE = ("response", "completion", "answer", "output", "target", "std_answer", "canonical_solution", "code")
GOLD = ("answer", "solution", "ground_truth", "reference_answer", "final_answer")
REFERENCE = (
    "reference",
    "std_answer",
    "solution",
    "ground_truth",
    "reference_answer",
    "canonical_solution",
    "answer",
    "expected",
)
CATEGORY = ("category", "class", "subject", "type", "task")
LABEL = ("label", "kto_tag", "thumbs_up", "thumb", "feedback", "desirable")
GOOD = frozenset(["true", "1", "1.0", "+1", "yes", "good", "up", "thumbs_up", "👍", "desirable", "positive", "chosen"])
BAD = frozenset(
    ["false", "0", "0.0", "-1", "no", "bad", "down", "thumbs_down", "👎", "undesirable", "negative", "rejected"]
)
MESSAGES = ("messages", "conversations", "conversation")
ALIASES = {
    "text": TEXT,
    "prompt": PROMPT,
    "response": RESPONSE,
    "answer": GOLD,
    "reference": REFERENCE,
    "category": CATEGORY,
    "label": LABEL,
    "messages": MESSAGES,
    "instruction": ("instruction",),
    "input": ("input",),
    "output": ("output", "response"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
}
SHAREGPT_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "system": "system",
    "function_call": "assistant",
    "observation": "tool",
    "tool": "tool",
}
ROLES = ("system", "developer", "user", "assistant", "tool")
TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")
NAMES = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean"}


class Unusable(Problem):
    """A row does not fit its format; `text` is the reason, a phrase that follows “Row 12”."""


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def is_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(m, dict) and "role" in m for m in value)


def is_sharegpt(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, dict) and "from" in m and "value" in m for m in value)
    )


def rating(value: object) -> bool | None:
    """Whether a label means good or bad: a boolean, 1 and 0 (or -1), a thumb, a word; None for anything else."""
    word = str(value).strip().lower().replace(" ", "_") if isinstance(value, str | bool | int | float) else ""
    return True if word in GOOD else False if word in BAD else None


def is_transcript(value: object) -> bool:
    return isinstance(value, str) and value.startswith("\n\nHuman:") and "\n\nAssistant:" in value


def is_side(value: object) -> bool:
    """One side of a pair: a text, one message or a list of messages."""
    return is_text(value) or is_messages(value) or (isinstance(value, dict) and {"role", "content"} <= value.keys())


def field(value: Value, part: str, columns: Columns | None = None) -> str | None:
    """Name of the field that plays `part`: the mapped one, else the first known name that holds something, else one
    that is there."""
    if columns and part in columns:
        return columns[part]
    present = [name for name in ALIASES[part] if name in value]
    return next((name for name in present if value[name] not in (None, "", [])), present[0] if present else None)


def take(value: Value, part: str, columns: Columns | None = None) -> tuple[str, Any]:
    """(field name, what it holds); raises Unusable when it is missing or null."""
    name = field(value, part, columns)
    if name is None or value.get(name) is None:
        raise Unusable("has no `{field}`", field=name or ALIASES[part][0])
    return name, value[name]


def take_text(value: Value, part: str, columns: Columns | None = None, numbers: bool = False) -> str:
    """The text that plays `part`; numbers become text where `numbers` allows it. Raises Unusable when empty."""
    name, found = take(value, part, columns)
    if numbers and is_scalar(found):
        found = str(found)
    if not isinstance(found, str):
        raise Unusable(
            "has a value of type `{kind}` in `{field}`, where a text belongs",
            field=name,
            kind=NAMES.get(type(found), "other"),
        )
    if not found.strip():
        raise Unusable("has an empty `{field}`", field=name)
    return found


def take_answer(value: Value, part: str, columns: Columns | None = None) -> str:
    """The right answer as text; a list with one entry counts as that entry, verl's `reward_model.ground_truth` as the
    answer."""
    if not (columns and part in columns) and isinstance(value.get("reward_model"), dict):
        return take_answer(value["reward_model"], part, {part: "ground_truth"})
    name, found = take(value, part, columns)
    if isinstance(found, list) and len(found) == 1:
        return take_text({name: found[0]}, part, {part: name}, numbers=True)
    return take_text(value, part, {**(columns or {}), part: name}, numbers=True)


def take_side(value: Value, part: str, columns: Columns | None = None) -> str | list[Message]:
    """A text, or messages (one message becomes a list of one)."""
    name, found = take(value, part, columns)
    if isinstance(found, dict) and "role" in found:
        found = [found]
    if isinstance(found, list):
        return messages(name, found)
    return take_text(value, part, {**(columns or {}), part: name})


def take_answer_side(value: Value, part: str, columns: Columns | None = None) -> str | list[Message]:
    """A side that says something: `take_side`, but messages without any content are Unusable."""
    found = take_side(value, part, columns)
    if isinstance(found, list) and not any(m["content"].strip() or m.get("tool_calls") for m in found):
        raise Unusable("has an empty `{field}`", field=field(value, part, columns) or part)
    return found


def messages(name: str, found: Any) -> list[Message]:
    """Checked messages of a chat, from `role`/`content` or `from`/`value`; all other keys of a message are kept."""
    if not isinstance(found, list):
        raise Unusable(
            "has a value of type `{kind}` in `{field}`, where a list of messages belongs",
            field=name,
            kind=NAMES.get(type(found), "other"),
        )
    if not found:
        raise Unusable("has an empty `{field}`", field=name)
    return [_message(name, i, item) for i, item in enumerate(found, start=1)]


def _message(name: str, number: int, item: Any) -> Message:
    if not isinstance(item, dict):
        raise Unusable("has no object at message {n} of `{field}`", field=name, n=number)
    if "from" in item and "role" not in item:
        role, content = SHAREGPT_ROLES.get(str(item["from"]), str(item["from"])), item.get("value")
    else:
        role, content = str(item.get("role")), item.get("content")
    if role not in ROLES:
        raise Unusable("has an unknown role “{role}” at message {n} of `{field}`", field=name, n=number, role=role[:40])
    said = _joined(name, number, content)
    rest = {
        key: inner
        for key, inner in item.items()
        if key not in ("role", "content", "from", "value") and inner is not None
    }
    if said is None and not rest.get("tool_calls"):
        raise Unusable("has no `content` at message {n} of `{field}`", field=name, n=number)
    return {"role": role, "content": said or "", **rest}


def _joined(name: str, number: int, content: Any) -> str | None:
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    if content is None or isinstance(content, str):
        return content
    raise Unusable("has no text at message {n} of `{field}` (an image, perhaps)", field=name, n=number)


def conversation(value: Value, columns: Columns | None = None) -> list[Message]:
    """A chat that has a question and an answer to learn from."""
    name, found = take(value, "messages", columns)
    chat = messages(name, found)
    if not any(m["role"] == "assistant" and (m["content"].strip() or m.get("tool_calls")) for m in chat):
        raise Unusable("has no answer of the assistant in `{field}`", field=name)
    if not any(m["role"] in ("user", "tool") for m in chat):
        raise Unusable("has no message of the user in `{field}`", field=name)
    return chat


def tools(value: Value) -> dict[str, str]:
    """The tools of a chat as JSON text: as objects, one row's keys would appear as null in all others."""
    found = value.get("tools")
    return {} if not found else {"tools": found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)}


def transcript(name: str, source: Any) -> list[Message]:
    """Messages of a “Human: … Assistant: …” text (hh-rlhf)."""
    if not is_transcript(source):
        raise Unusable("has no “Human: … Assistant: …” in `{field}`", field=name)
    parts = TURN.split(source)
    return [
        {"role": "user" if who == "Human" else "assistant", "content": said.strip()}
        for who, said in zip(parts[1::2], parts[2::2], strict=True)
    ]


def split_pair(
    chosen: Sequence[Message], rejected: Sequence[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """(shared start, rest of chosen, rest of rejected): the longest shared start that ends before an assistant's
    turn."""
    n = 0
    while n < min(len(chosen), len(rejected)) and chosen[n] == rejected[n]:
        n += 1
    while n and (n >= len(chosen) or n >= len(rejected) or chosen[n]["role"] != "assistant"):
        n -= 1
    return list(chosen[:n]), list(chosen[n:]), list(rejected[n:])


def turns(side: str | list[Message], role: str) -> list[Message]:
    return [{"role": role, "content": side}] if isinstance(side, str) else side

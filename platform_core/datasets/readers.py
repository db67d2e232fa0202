"""Reads the parts of one row in each format; raises Unusable with the reason when one is missing, empty or odd."""

from __future__ import annotations

from typing import Any

from platform_core.datasets import samples as s
from platform_core.datasets.samples import Columns, Unusable, Value

Converted = dict[str, Any]


def read_text(value: Value, columns: Columns | None) -> Converted:
    return {"text": s.take_text(value, "text", columns)}


def read_pair(value: Value, columns: Columns | None) -> Converted:
    prompt, response = s.take_side(value, "prompt", columns), _response(value, columns)
    return {"prompt": prompt, "response": response}


def _response(value: Value, columns: Columns | None) -> str | list[s.Message]:
    name, found = s.take(value, "response", columns)
    return (
        str(found)
        if s.is_scalar(found) and not isinstance(found, str)
        else s.take_side(value, "response", {**(columns or {}), "response": name})
    )


def read_alpaca(value: Value, columns: Columns | None) -> Converted:
    instruction, output = s.take_text(value, "instruction", columns), s.take_text(value, "output", columns)
    extra = value.get((columns or {}).get("input", "input"))
    prompt = f"{instruction}\n\n{extra}" if isinstance(extra, str) and extra.strip() else instruction
    if "history" not in value and "system" not in value:
        return {"prompt": prompt, "response": output}
    chat = s.turns(value["system"], "system") if isinstance(value.get("system"), str) and value["system"] else []
    for turn in value.get("history") or []:
        if not (isinstance(turn, list) and len(turn) == 2 and all(map(s.is_text, turn))):
            raise Unusable("has a `history` that is no list of question and answer")
        chat += [*s.turns(turn[0], "user"), *s.turns(turn[1], "assistant")]
    return {"messages": [*chat, *s.turns(prompt, "user"), *s.turns(output, "assistant")]}


def read_chat(value: Value, columns: Columns | None) -> Converted:
    return {"messages": s.conversation(value, columns), **s.tools(value)}


def read_dpo(value: Value, columns: Columns | None) -> Converted:
    if s.field(value, "prompt", columns) is None and "conversations" in value:
        prompt: str | list[s.Message] = s.messages("conversations", value["conversations"])
    else:
        prompt = s.take_side(value, "prompt", columns)
    return {"prompt": prompt, **read_choices(value, columns)}


def read_choices(value: Value, columns: Columns | None) -> Converted:
    chosen, rejected = (s.take_answer_side(value, side, columns) for side in ("chosen", "rejected"))
    _refuse_equal(chosen, rejected)
    return {"chosen": chosen, "rejected": rejected}


def _refuse_equal(chosen: object, rejected: object) -> None:
    if chosen == rejected:
        raise Unusable("has the same text in `chosen` and `rejected`")


def read_transcript(value: Value, columns: Columns | None) -> Converted:
    sides = [
        s.transcript(name, found) for name, found in (s.take(value, part, columns) for part in ("chosen", "rejected"))
    ]
    _refuse_equal(*sides)
    prompt, chosen, rejected = s.split_pair(*sides)
    if not prompt:
        raise Unusable("has no shared beginning in `chosen` and `rejected`")
    if not any(m["content"] for m in chosen) or not any(m["content"] for m in rejected):
        raise Unusable("has an empty last answer in `chosen` or `rejected`")
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def read_kto(value: Value, columns: Columns | None) -> Converted:
    name, label = s.take(value, "label", columns)
    good = s.rating(label)
    if good is None:
        raise Unusable("has a `{field}` that is neither true nor false", field=name)
    response = _response(value, columns)
    if isinstance(response, list):
        response = s.take_answer_side(value, "response", columns)
    return {"prompt": s.take_side(value, "prompt", columns), "response": response, "label": good}


def read_grpo(value: Value, columns: Columns | None) -> Converted:
    return {"prompt": s.take_side(value, "prompt", columns), "answer": s.take_answer(value, "answer", columns)}


def read_evaluation(value: Value, columns: Columns | None) -> Converted:
    found = value.get(s.field(value, "category", columns) or "")
    category = str(found) if s.is_scalar(found) and str(found).strip() else None
    return {
        "prompt": s.take_side(value, "prompt", columns),
        "reference": s.take_answer(value, "reference", columns),
        "category": category,
    }


def read_prompt(value: Value, columns: Columns | None) -> Converted:
    return {"prompt": s.take_side(value, "prompt", columns)}

"""Sentences keep their template and values, also when one stands inside another and both went through JSON."""

import json

from platform_core.errors import Problem, Text, fill, text


def test_a_sentence_inside_a_sentence_survives_json() -> None:
    whole = text("{file}: {reason}", file="a.jsonl", reason=text("row {n} is empty", n=3))
    back = Text.from_json(json.loads(json.dumps(whole.as_json())))
    assert back == whole
    assert str(back) == "a.jsonl: row 3 is empty"


def test_values_are_data_never_templates() -> None:
    assert str(Problem("“{name}” is taken.", name="{0.__class__}")) == "“{0.__class__}” is taken."


def test_braces_without_values_are_left_alone() -> None:
    assert fill('{"text": "…"}', {}) == '{"text": "…"}'


def test_anything_else_becomes_a_text() -> None:
    assert str(Text.from_json("killed {x}")) == "killed {x}"
    assert str(Text.from_json(None)) == ""

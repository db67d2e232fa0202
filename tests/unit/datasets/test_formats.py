"""Which format rows have, which rows do not fit it and why, and what trainers get."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_core.datasets.formats import FORMATS, TABLE, columns_of, detect, validate
from platform_core.datasets.needs import NEEDS, convert
from platform_core.datasets.read import rows
from platform_core.datasets.samples import Unusable, Value, split_pair, transcript
from platform_core.errors import Problem
from tests.rows import write_rows

from .reading import CHAT, FILES


def names(values: list[dict[str, object]]) -> list[str]:
    return [guess.format for guess in detect(values)]


@pytest.mark.parametrize("form", TABLE, ids=lambda form: form.name)
def test_each_format_knows_its_own_example(form: object) -> None:
    name, example = form.name, dict(form.example)  # type: ignore[attr-defined]
    assert detect([example])[0].format == name
    assert detect([example])[0].share == 1.0
    assert validate(name, example) is None


@pytest.mark.parametrize(
    ("file", "formats"),
    [
        ("gsm8k.jsonl", ["prompt_response", "evaluation"]),
        ("belle.jsonl", ["evaluation", "prompt_response"]),
        ("conversations.json", ["sharegpt"]),
        ("mgsm_zh.tsv", []),
    ],
)
def test_real_files(file: str, formats: list[str]) -> None:
    assert names([r.value for r in rows(FILES / file)]) == formats


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        ({"prompt": "a", "solution": "b"}, ["grpo", "evaluation"]),
        ({"prompt": "a", "answer": "b"}, ["grpo", "evaluation", "prompt_response"]),
        ({"prompt": [CHAT[0]], "reward_model": {"ground_truth": "5"}, "data_source": "x"}, ["grpo"]),
        ({"prompt": "a", "completion": "b", "label": 3}, ["prompt_response"]),
        ({"conversations": [{"from": "human", "value": "a"}], "chosen": "b", "rejected": "c"}, ["dpo"]),
        ({"text": "a", "label": 1}, ["pretrain"]),
        ({"a": 1}, []),
    ],
)
def test_ambiguous_rows_show_all_they_may_be(value: dict[str, object], formats: list[str]) -> None:
    assert names([value]) == formats


def test_rows_vote() -> None:
    values: list[dict[str, object]] = [{"prompt": "a", "response": "b"}] * 9 + [{"text": "x"}]
    assert [(g.format, g.share) for g in detect(values)] == [("prompt_response", 0.9), ("pretrain", 0.1)]
    assert detect([]) == []


@pytest.mark.parametrize(
    ("form", "value", "reason"),
    [
        ("prompt_response", {"prompt": "a"}, "has no `response`"),
        ("prompt_response", {"prompt": "a", "response": None}, "has no `response`"),
        ("prompt_response", {"question": "a", "answer": "  "}, "has an empty `answer`"),
        (
            "prompt_response",
            {"prompt": "a", "response": {"x": 1}},
            "has a value of type `object` in `response`, where a text belongs",
        ),
        ("pretrain", {"text": 7}, "has a value of type `number` in `text`, where a text belongs"),
        ("pretrain", {}, "has no `text`"),
        ("alpaca", {"instruction": "a"}, "has no `output`"),
        ("chatml", {"messages": []}, "has an empty `messages`"),
        ("chatml", {"messages": "hi"}, "has a value of type `string` in `messages`, where a list of messages belongs"),
        ("chatml", {"messages": [CHAT[0]]}, "has no answer of the assistant in `messages`"),
        ("chatml", {"messages": [CHAT[1]]}, "has no message of the user in `messages`"),
        ("chatml", {"messages": [CHAT[0], {"role": "assistant"}]}, "has no `content` at message 2 of `messages`"),
        ("chatml", {"messages": ["a"]}, "has no object at message 1 of `messages`"),
        (
            "chatml",
            {"messages": [{"role": "bot", "content": "x"}]},
            "has an unknown role “bot” at message 1 of `messages`",
        ),
        (
            "chatml",
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "has no text at message 1 of `messages` (an image, perhaps)",
        ),
        ("dpo", {"prompt": "a", "chosen": "b"}, "has no `rejected`"),
        ("dpo", {"prompt": "a", "chosen": "b", "rejected": "b"}, "has the same text in `chosen` and `rejected`"),
        ("kto", {"prompt": "a", "completion": "b", "label": 5}, "has a `label` that is neither true nor false"),
        ("grpo", {"prompt": "a", "answer": ""}, "has an empty `answer`"),
        ("evaluation", {"prompt": "a", "category": "x"}, "has no `reference`"),
        ("hh_transcript", {"chosen": "a", "rejected": "b"}, "has no “Human: … Assistant: …” in `chosen`"),
    ],
)
def test_faulty_rows_are_told_why(form: str, value: dict[str, object], reason: str) -> None:
    assert str(validate(form, value)) == reason


@pytest.mark.parametrize(
    ("form", "value", "to", "expected"),
    [
        ("pretrain", {"content": "a", "id": 1}, "pretrain", {"text": "a"}),
        ("prompt_response", {"question": "a", "answer": "b"}, "sft", {"prompt": "a", "completion": "b"}),
        ("prompt_response", {"prompt": [CHAT[0]], "response": CHAT[1]}, "sft", {"messages": CHAT}),
        ("prompt_response", {"prompt": "2+3=", "response": 5}, "sft", {"prompt": "2+3=", "completion": "5"}),
        (
            "alpaca",
            {"instruction": "Add.", "input": "2, 3", "output": "5"},
            "sft",
            {"prompt": "Add.\n\n2, 3", "completion": "5"},
        ),
        ("alpaca", {"instruction": "Hi", "input": "", "output": "5"}, "sft", {"prompt": "Hi", "completion": "5"}),
        (
            "alpaca",
            {"instruction": "2+3=", "output": "5", "system": "Be short.", "history": [["a", "b"]]},
            "sft",
            {
                "messages": [
                    {"role": "system", "content": "Be short."},
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                    *CHAT,
                ]
            },
        ),
        (
            "sharegpt",
            {"conversations": [{"from": "human", "value": "2+3="}, {"from": "gpt", "value": "5"}]},
            "sft",
            {"messages": CHAT},
        ),
        (
            "chatml",
            {"messages": CHAT, "tools": [{"name": "add"}]},
            "sft",
            {"messages": CHAT, "tools": '[{"name": "add"}]'},
        ),
        ("grpo", {"prompt": "a", "ground_truth": 5}, "grpo", {"prompt": "a", "answer": "5"}),
        (
            "grpo",
            {"prompt": [CHAT[0]], "reward_model": {"style": "rule", "ground_truth": "5"}},
            "grpo",
            {"prompt": [CHAT[0]], "answer": "5"},
        ),
        ("evaluation", {"question": "a", "std_answer": "b", "class": "c"}, "grpo", {"prompt": "a", "answer": "b"}),
        ("prompt_response", {"question": "a", "answer": "b"}, "grpo", {"prompt": "a", "answer": "b"}),
        (
            "evaluation",
            {"prompt": "a", "reference": ["b"], "category": "c"},
            "evaluation",
            {"prompt": "a", "reference": "b", "category": "c"},
        ),
        (
            "grpo",
            {"prompt": "a", "answer": "b"},
            "evaluation",
            {"prompt": "a", "reference": "b", "category": None},
        ),
        ("dpo", FORMATS["dpo"].example, "dpo", FORMATS["dpo"].example),
        (
            "hh_transcript",
            {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
            "dpo",
            {
                "prompt": [{"role": "user", "content": "a"}],
                "chosen": [{"role": "assistant", "content": "b"}],
                "rejected": [{"role": "assistant", "content": "c"}],
            },
        ),
    ],
)
def test_conversion(form: str, value: Value, to: str, expected: dict[str, object]) -> None:
    assert convert(form, value, to) == expected


def test_mapped_columns_win_over_known_names() -> None:
    value = {"prompt": "no", "column_1": "2+3=", "column_2": "5"}
    columns = {"prompt": "column_1", "response": "column_2"}
    assert convert("prompt_response", value, "sft", columns) == {"prompt": "2+3=", "completion": "5"}
    assert str(validate("prompt_response", value, {"prompt": "gone"})) == "has no `gone`"
    assert columns_of("prompt_response", [{"question": "a", "answer": "b"}]) == {
        "prompt": "question",
        "response": "answer",
    }


def test_what_a_format_can_not_become_is_said() -> None:
    with pytest.raises(Problem, match="can't be used"):
        convert("pretrain", {"text": "a"}, "sft")


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda t: t.strip())
chats = st.lists(st.tuples(words, words), min_size=1, max_size=3).map(
    lambda pairs: [m for q, a in pairs for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]
)
VALUES = {
    "pretrain": st.fixed_dictionaries({"text": words}),
    "prompt_response": st.fixed_dictionaries({"prompt": words, "response": words}),
    "alpaca": st.fixed_dictionaries({"instruction": words, "output": words}, optional={"input": st.text(max_size=9)}),
    "chatml": st.fixed_dictionaries({"messages": chats}),
    "sharegpt": chats.map(
        lambda c: {
            "conversations": [{"from": {"user": "human"}.get(m["role"], "gpt"), "value": m["content"]} for m in c]
        }
    ),
    "dpo": st.tuples(words, words, words)
    .filter(lambda t: t[1] != t[2])
    .map(lambda t: dict(zip(("prompt", "chosen", "rejected"), t, strict=True))),
    "grpo": st.fixed_dictionaries({"prompt": words, "solution": words | st.integers()}),
    "evaluation": st.fixed_dictionaries({"prompt": words, "reference": words}, optional={"category": words}),
}


@pytest.mark.parametrize("form", VALUES)
@settings(deadline=None)
@given(data=st.data(), extra=st.dictionaries(st.sampled_from(["id", "source", "score"]), st.integers() | st.none()))
def test_any_good_row_is_known_valid_and_converts_to_a_fixed_point(
    form: str, data: st.DataObject, extra: dict[str, object]
) -> None:
    value = {**extra, **data.draw(VALUES[form])}
    assert detect([value])[0].format == form
    assert validate(form, value) is None
    for to in (to for to, need in NEEDS.items() if form in need.formats):
        once = convert(form, value, to)
        again = next(n for n in NEEDS[to].formats if validate(n, once) is None)
        assert convert(again, once, to) == once
        json.dumps(once)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    "text",
    "prompt",
    "response",
    "answer",
    "messages",
    "conversations",
    "chosen",
    "rejected",
    "label",
    "reference",
    "instruction",
]
FIELDS += ["output", "history", "system", "reward_model", "tools", "category"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5))
def test_no_row_whatsoever_crashes_a_reader(value: dict[str, object]) -> None:
    detect([value])
    for name in FORMATS:
        reason = validate(name, value)
        for to in (to for to, need in NEEDS.items() if name in need.formats and reason is None):
            with suppress(Unusable):
                json.dumps(convert(name, value, to))


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json_values, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_rows_written_are_rows_read(tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    write_rows(path, values)
    assert [r.value for r in rows(path)] == values


@settings(deadline=None)
@given(chats, words, words)
def test_pairs_split_where_the_answers_part(chat: list[dict[str, str]], good: str, bad: str) -> None:
    chosen = [*chat, {"role": "user", "content": "?"}, {"role": "assistant", "content": good}]
    rejected = [*chosen[:-1], {"role": "assistant", "content": bad + good}]
    prompt, one, two = split_pair(chosen, rejected)
    assert (prompt + one, prompt + two) == (chosen, rejected)
    assert one[0]["role"] == "assistant"


def test_transcripts_with_odd_turns() -> None:
    said = transcript("chosen", "\n\nHuman: a\nHuman: inside\n\nAssistant: b\n\nHuman: c\n\nAssistant:")
    assert [(m["role"], m["content"]) for m in said] == [
        ("user", "a\nHuman: inside"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", ""),
    ]

"""Where an answer is found, and where it is not; hostile texts cost no more than others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_core.rewards.answer import Answer
from platform_core.rewards.exact_match import exact_match
from platform_core.rewards.extraction import extract, last_json, looked_at, without_thinking
from platform_core.rewards.function import AnswerFunction
from platform_core.rewards.kinds.exact_match import ExactMatch
from platform_core.rewards.kinds.numeric_match import NumericMatch
from platform_core.rewards.presets import exact_match_reward
from platform_core.rewards.scorer import open_scorer


def found(said: str, **how: object) -> str | None:
    function = NumericMatch.model_validate(how)
    return extract(looked_at(said, function), function).answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (r"so \boxed{42}", "42"),
        (r"\boxed{\frac{1}{2}} and \boxed{{3}}", "{3}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed{a \} b}", r"a \} b"),
        (r"\fbox {5}", "5"),
        (r"\boxed{5", None),
        (r"boxed{5}", None),
        (r"\boxed{}", ""),
        (r"} \boxed{1} {", "1"),
    ],
)
def test_boxed(said: str, answer: str | None) -> None:
    assert found(said, extraction="boxed") == answer


def test_the_last_of_several_boxes_counts_and_that_is_known() -> None:
    function = NumericMatch(extraction="boxed")
    assert extract(r"\boxed{1} \boxed{2}", function).several
    assert not extract(r"\boxed{\boxed{2}}", function).several


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("it is 1,234.5 in all", "1234.5"),
        ("3/4", "3/4"),
        ("from 3-4", "4"),
        ("x = -7.", "-7"),
        ("50 %", "50 %"),
        ("1.5e-3", "1.5e-3"),
        ("none", None),
        ("a²", None),
        ("", None),
    ],
)
def test_last_number(said: str, answer: str | None) -> None:
    assert found(said, extraction="last_number") == answer


@pytest.mark.parametrize(
    ("said", "how", "answer"),
    [
        ("a # b # 42 ", {"extraction": "marker"}, "42"),
        ("no marker", {"extraction": "marker"}, None),
        ("<answer>1</answer><answer> 2 </answer>", {"extraction": "tag"}, "2"),
        ("</answer><answer>", {"extraction": "tag"}, None),
        ("the answer is 5\nyes", {"extraction": "regex"}, "5"),
        ("5 apples", {"extraction": "regex", "pattern": r"\d+"}, "5"),
        ('x {"answer": [1, {"b": "c"}]} y', {"extraction": "json", "json_path": "$.answer.1.b"}, "c"),
        ('{"answer": 1} {"answer": 2}', {"extraction": "json"}, "2"),
        ('{"answer": 1}', {"extraction": "json", "json_path": "nothing"}, None),
        ("[]", {"extraction": "json"}, None),
        (" all of it ", {"extraction": "whole"}, "all of it"),
    ],
)
def test_the_other_places(said: str, how: dict[str, object], answer: str | None) -> None:
    assert found(said, **how) == answer


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<think>1</think>2", "2"),
        ("1</think>2", "2"),
        ("<think>1", ""),
        ("0<think>1", "0"),
        ("<think>1</think>2<think>3</think>4", "4"),
        ("plain", "plain"),
    ],
)
def test_the_thinking_is_left_out(said: str, left: str) -> None:
    assert without_thinking(said) == left


def test_an_answer_in_the_thinking_counts_only_where_that_is_asked_for() -> None:
    assert found(r"<think>\boxed{1}</think>", extraction="boxed") is None
    assert found(r"<think>\boxed{1}</think>", extraction="boxed", cut_thinking=False) == "1"


@pytest.mark.parametrize(
    "bomb",
    ["\\boxed{" * 300_000, "{" * 300_000, '{"a":' * 100_000, "[" * 300_000, "1,000" * 200_000, "<answer>" * 200_000],
    ids=["boxes", "braces", "json", "lists", "numbers", "tags"],
)
@pytest.mark.parametrize("how", ["boxed", "last_number", "tag", "json", "regex", "marker", "whole"])
def test_bombs_are_read_to_their_end(bomb: str, how: str) -> None:
    found(bomb, extraction=how)


def test_a_deep_json_is_none_and_a_catastrophic_pattern_is_cut() -> None:
    assert last_json("[" * 100_000 + "]" * 100_000) == (None, False)
    with pytest.raises(TimeoutError):
        found("a" * 200 + "b", extraction="regex", pattern=r"(a+)+$|(a|aa)+c")


@given(
    st.text(alphabet="0123456789,.-# \nabc", max_size=60),
    st.text(alphabet="0123456789,.-# abc", min_size=1, max_size=20).filter(lambda t: bool(t.strip())),
    st.sampled_from(["marker", "last_number", "whole"]),
)
def test_exact_match_says_what_it_always_said(completion: str, reference: str, how: str) -> None:
    with open_scorer(exact_match_reward(how, "#")) as scorer:
        score = scorer.score([Answer(completion, reference)])[0]
    assert score.value == exact_match(completion, reference, how)  # type: ignore[arg-type]


def test_the_pattern_of_a_function_is_checked_when_it_is_written() -> None:
    with pytest.raises(ValueError, match="pattern"):
        ExactMatch(extraction="regex", pattern="(")
    assert isinstance(ExactMatch(extraction="boxed", pattern="("), AnswerFunction)

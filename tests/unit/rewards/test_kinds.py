"""What each kind of function says of answers, and why."""

from __future__ import annotations

from typing import Any

import pytest

from platform_core.errors import Problem
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.scorer import RewardFailed, Scorer, open_scorer
from platform_core.rewards.spec import Reward


def scored(completion: str, reference: str = "42", *, reward: dict[str, Any] | None = None, **function: Any) -> Score:
    made = Reward.model_validate({"functions": [function], **(reward or {})})
    with open_scorer(made) as scorer:
        return scorer.score([Answer(completion, reference, number=3)])[0]


@pytest.mark.parametrize(
    ("function", "completion", "reference", "value"),
    [
        ({"kind": "exact_match"}, "it is 42", "42", 1),
        ({"kind": "exact_match"}, "it is 42.0", "42", 0),
        ({"kind": "exact_match", "extraction": "whole"}, "Paris", "paris", 0),
        ({"kind": "exact_match", "extraction": "whole", "ignore_case": True}, "Paris", "paris", 1),
        ({"kind": "exact_match", "extraction": "whole", "ignore_spaces": True}, "a\n b", "a b", 1),
        ({"kind": "numeric_match"}, "it is 42.0", "42", 1),
        ({"kind": "numeric_match"}, "50 %", "0.5", 1),
        ({"kind": "numeric_match", "percent": "number"}, "50 %", "50", 1),
        ({"kind": "numeric_match"}, "１２", "12", 1),
        ({"kind": "numeric_match", "relative_tolerance": 0.01}, "3.14", "3.141", 1),
        ({"kind": "numeric_match", "extraction": "marker"}, "#### 42 apples\nyes", "#### 42", 1),
        ({"kind": "numeric_match", "extraction": "tag", "units": True}, "<answer>5 km</answer>", "5 m", 0),
        ({"kind": "numeric_match", "extraction": "boxed"}, r"\boxed{\frac{1}{2}}", "0.5", 1),
        ({"kind": "numeric_match"}, "", "42", 0),
        ({"kind": "fuzzy_match"}, "the cat sat", "the cat", 0.8),
        ({"kind": "fuzzy_match", "threshold": 0.9}, "the cat sat", "the cat", 0),
        ({"kind": "fuzzy_match", "threshold": 0.7, "binary": True}, "the cat sat", "the cat", 1),
        ({"kind": "fuzzy_match", "measure": "characters"}, "abcd", "abce", 0.75),
        ({"kind": "format_check"}, "<think>a</think><answer>b</answer>", "", 1),
        ({"kind": "format_check"}, "<answer>b</answer><think>a</think>", "", 2 / 3),
        ({"kind": "format_check"}, "x<think>a</think><answer>b</answer>", "", 2 / 3),
        ({"kind": "format_check"}, "<answer>b</answer>", "", 1 / 3),
        ({"kind": "format_check", "partial": False}, "<answer>b</answer>", "", 0),
        ({"kind": "format_check", "check": "patterns", "patterns": "^a\nb$"}, "ab", "", 1),
        ({"kind": "format_check", "check": "patterns", "patterns": "^a\nc$"}, "ab", "", 0.5),
        ({"kind": "length", "most": 10, "slack": 4}, "x" * 6, "", 0),
        ({"kind": "length", "most": 10, "slack": 4}, "x" * 8, "", -0.5),
        ({"kind": "length", "most": 10, "slack": 4}, "x" * 99, "", -1),
        ({"kind": "length", "most": 10, "slack": 0, "least": 4}, "x", "", -0.75),
        ({"kind": "length", "most": 3, "slack": 0, "unit": "words"}, "a b c d", "", -1),
        ({"kind": "repetition", "size": 1, "free": 0}, "a a a a", "", -0.75),
        ({"kind": "repetition"}, "all of these words are different", "", 0),
        ({"kind": "repetition", "unit": "characters", "size": 2, "free": 0.5}, "ababababab", "", -5 / 9),
        ({"kind": "repetition"}, "", "", 0),
    ],
)
def test_values(function: dict[str, Any], completion: str, reference: str, value: float) -> None:
    score = scored(completion, reference, **function)
    assert score.error is None
    assert score.value == pytest.approx(value)
    assert str(score.parts[0].why)


def test_the_sum_is_weighted_and_clipped() -> None:
    functions = [{"kind": "exact_match", "weight": 2}, {"kind": "length", "most": 1, "slack": 0, "clip_low": -0.5}]
    reward = Reward.model_validate({"functions": functions, "clip_high": 1.2})
    with open_scorer(reward) as scorer:
        right, wrong = scorer.score([Answer("42", "42"), Answer("41", "42")])
    assert right.value == pytest.approx(1.2)
    assert wrong.value == pytest.approx(-0.5)
    assert [part.value for part in right.parts] == [1.0, -0.5]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ({"kind": "exact_match"}, "no reference answer"),
        ({"kind": "numeric_match", "extraction": "regex", "pattern": "(a+)+$|(a|aa)+c"}, "too long"),
        ({"kind": "format_check", "check": "patterns", "patterns": "(a+)+$|(a|aa)+c"}, "too long"),
    ],
)
def test_what_cannot_be_scored_counts_as_nothing_or_stops(function: dict[str, Any], said: str) -> None:
    completion, reference = "a" * 200 + "b", "" if function["kind"] == "exact_match" else "1"
    score = scored(completion, reference, **function)
    assert score.value == 0
    assert score.error is not None
    assert said in str(score.error)
    assert "row 3" in str(score.error)
    with pytest.raises(RewardFailed, match="row 3"):
        scored(completion, reference, reward={"on_error": "stop"}, **function)


def test_the_answer_field_of_the_row() -> None:
    reward = Reward.model_validate({"functions": [{"kind": "exact_match"}], "answer_field": "gold"})
    with open_scorer(reward) as scorer:
        given = [Answer("7", "8", row={"gold": 7}), Answer("7", "7"), Answer("7", "7", row={"gold": None})]
        first, mapped, missing = scorer.score(given)
    assert (first.value, mapped.value) == (1, 1)
    assert missing.error is not None


def test_a_value_that_is_no_number_is_an_error() -> None:
    reward = Reward.model_validate({"functions": [{"kind": "reward_model", "model": "rm"}]})
    with open_scorer(reward, models={"rm": lambda prompts, completions: [float("nan"), 2.0]}) as scorer:
        broken, fine = scorer.score([Answer("a"), Answer("b")])
    assert "nan" in str(broken.error)
    assert (broken.value, fine.value) == (0, 2)


def test_a_reward_model_is_loaded_by_a_training_only() -> None:
    with pytest.raises(Problem, match="loaded by a training only"):
        scored("a", kind="reward_model", model="rm")
    squashed = Reward.model_validate({"functions": [{"kind": "reward_model", "model": "rm", "squash": True}]})
    with open_scorer(squashed, models={"rm": lambda prompts, completions: [1e9]}) as scorer:
        assert scorer.score([Answer("a")])[0].value == 1


def test_ten_megabytes_are_scored() -> None:
    functions = [
        {"kind": k} for k in ("exact_match", "numeric_match", "fuzzy_match", "format_check", "length", "repetition")
    ]
    with open_scorer(Reward.model_validate({"functions": functions})) as scorer:
        score = scorer.score([Answer("word " * 2_000_000 + "42", "42")])[0]
    assert score.error is None
    assert score.parts[0].value == score.parts[1].value == 1


def test_nothing_is_scored_in_no_time() -> None:
    with open_scorer(Reward.model_validate({"functions": [{"kind": "length"}]})) as scorer:
        assert isinstance(scorer, Scorer)
        assert scorer.score([]) == []

"""A reward as YAML both ways, and what is wrong with one in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_core.errors import Problem
from platform_core.jobs.spec import setting_of
from platform_core.rewards.kinds.registry import kinds
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.spec import Reward, judge_reward, read_reward, write_reward

NEEDED = {"reward_model": {"model": "rm"}, "llm_judge": {"address": "http://judge:8000/v1", "model": "m"}}


@pytest.mark.parametrize("name", kinds())
def test_every_kind_is_yaml_both_ways(name: str) -> None:
    reward = Reward.model_validate({"functions": [{"kind": name, "weight": 0.5, **NEEDED.get(name, {})}]})
    assert read_reward(write_reward(reward)) == reward
    assert reward.names == [name]


@pytest.mark.parametrize("name", kinds())
def test_every_setting_of_a_kind_has_a_title_and_a_help(name: str) -> None:
    for field, declared in kinds()[name].spec.model_fields.items():
        made = setting_of(declared, field)
        assert made.title, (name, field)
        assert made.help.endswith((".", "”", "?")), (name, field, made.help)


def test_the_presets_are_rewards() -> None:
    for preset in PRESETS.values():
        assert read_reward(write_reward(preset.reward())) == preset.reward()


def test_functions_of_one_kind_have_names_of_their_own() -> None:
    reward = Reward.model_validate({"functions": [{"kind": "length"}, {"kind": "exact_match"}, {"kind": "length"}]})
    assert reward.names == ["length", "exact_match", "length_2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begin with `functions:`"),
        ("- a", "begin with `functions:`"),
        ("functions: []", "at least one function"),
        ("on_error: stop", "at least one function"),
        ("functions: [{kind: nothing}]", "no reward function “nothing”; known are exact_match"),
        ("functions: [{weight: 1}]", "has a `kind`"),
        ("functions: [{kind: length, most: x}]", r"Function 1 \(length\): Longest must be a whole number"),
        (
            "functions: [{kind: length}, {kind: exact_match, extract: x}]",
            r"Function 2 \(exact_match\): “extract”",
        ),
        ("functions: [{kind: exact_match, extraction: regex, pattern: '('}]", "pattern can't be read"),
        ("functions: [{kind: exact_match, weight: .nan}]", "Weight"),
        ("functions: [{kind: exact_match, clip_low: 1, clip_high: 0}]", "holds nothing"),
        ("functions: [{kind: length}]\nclip_low: 1\nclip_high: 0", "holds nothing"),
        ("functions: [{kind: llm_judge, address: 'file:///etc/passwd', model: m}]", "address must be such as"),
        ("functions: [{kind: format_check, tags: 'a b'}]", "can't be a tag"),
        ("functions: [{kind: custom_python, function: __import__}]", "Function can't be"),
        ("functions: &a [*a]", "aliases"),
        ("functions: !!python/object:os.system [x]", "can't be understood"),
        ("functions: [{kind: length}]\nanswer: x", "“answer” is not a setting"),
        ("functions: 5", "at least one function|can't be"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(Problem) as refused:
        read_reward(text)
    assert re.search(said, str(refused.value)), refused.value


def test_an_unusual_but_possible_reward_is_taken() -> None:
    reward, findings = judge_reward({"functions": [{"kind": "exact_match", "weight": -3}]})
    assert reward is not None
    assert not findings


PLAIN = st.none() | st.booleans() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["functions", "kind", "weight", "x"])


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)))
def test_any_data_is_a_reward_or_has_findings(data: object) -> None:
    reward, findings = judge_reward(data if isinstance(data, dict) else {"functions": data})
    assert reward is not None or findings

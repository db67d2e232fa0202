"""The bench of rewards: built and changed in a form and as YAML, tried on rows and answers, saved with test cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.reward_bench import took
from platform_core.rewards import service as rewards
from platform_core.rewards.cases import Case
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.spec import Reward
from platform_core.workspace.service import Workspace

ROOT = Path(__file__).resolve().parents[3]
Open = Callable[..., AppTest]
NUMERIC = Reward.model_validate({"functions": [{"kind": "numeric_match"}, {"kind": "length", "weight": 0.5}]})


def said(at: AppTest) -> str:
    return "\n".join(e.value for e in [*at.title, *at.markdown, *at.caption, *at.error, *at.warning])


def tables(at: AppTest) -> str:
    """What the page's own tables were given."""
    return "\n".join(str(e.proto) for e in at.get("bidi_component")).replace("\\", "")


@pytest.fixture
def mine(workspace: Workspace) -> str:
    rewards.save(workspace.home, "mine", NUMERIC, None, [Case("right", "7", 1.0, "7")])
    return "mine"


def settings_of(at: AppTest, kind: str) -> str:
    """The key under which the form holds a function."""
    block = next(b for b in at.session_state["reward.functions"] if b.kind == kind)
    return str(block.key)


def test_the_built_in_ones_are_there_and_a_new_one_begins_with_one(opened: Open, workspace: Workspace) -> None:
    at = opened("rewards")
    assert not at.exception
    assert {f"open.{name}" for name in PRESETS} <= {b.key for b in at.button}
    at.button(key="new-reward").click().run()
    assert at.query_params["new"] == "exact_match"
    at.button(key="add.length").click().run()
    at.text_input(key="reward.name").set_value("first").run()
    at.button(key="save").click().run()
    assert at.query_params["name"] == "first"
    assert [f.kind for f in rewards.get(workspace.home, "first").reward.functions] == ["exact_match", "length"]
    assert "Everything is saved" in said(at) or "Saved" in said(at)


def test_what_is_changed_is_seen_and_saved(opened: Open, workspace: Workspace, mine: str) -> None:
    at = opened("rewards", name=mine)
    assert "Everything is saved" in said(at)
    at.number_input(key=f"{settings_of(at, 'length')}.weight").set_value(0.25).run()
    assert "Not saved yet" in said(at)
    at.button(key="save").click().run()
    found = rewards.get(workspace.home, mine)
    assert found.reward.functions[1].weight == 0.25
    assert [case.name for case in found.cases] == ["right"]
    assert [entry.name for entry in rewards.deleted(workspace.home)] == [mine]


def test_rows_of_a_dataset_are_tried_and_weak_places_told(opened: Open, workspace: Workspace, sums: str) -> None:
    blind = Reward.model_validate({"functions": [{"kind": "format_check", "check": "patterns", "patterns": r"\d"}]})
    rewards.save(workspace.home, "blind", blind)
    at = opened("rewards", name="blind")
    at.button(key="try").click().run()
    assert not at.exception
    _of, tried = at.session_state["reward.tried"]
    assert {str(t.ready.name) for t in tried} >= {"Right", "Wrong", "Empty", "A hostile power tower"}
    assert "rewarded like a right answer" in said(at)


def test_an_answer_of_ones_own_becomes_a_test_case(opened: Open, mine: str) -> None:
    at = opened("rewards", name=mine)
    at.button_group(key="try.how").set_value("own").run()
    at.text_area(key="try.completion").set_value("it is 8").run()
    at.text_input(key="try.reference").set_value("8").run()
    at.button(key="try-own").click().run()
    _of, tried = at.session_state["reward.tried"]
    assert [t.score.value for t in tried] == [1.0]
    at.button(key="run-cases").click().run()
    assert [r.passed for r in at.session_state["reward.results"]] == [True]


def test_results_of_other_code_are_not_shown_as_those_of_this_one(opened: Open, workspace: Workspace) -> None:
    own = Reward.model_validate({"functions": [{"kind": "custom_python"}]})
    rewards.save(workspace.home, "own", own, "def score(*a): return 1\n", [Case("one", "7", 1.0, "7")])
    at = opened("rewards", name="own")
    at.button_group(key="try.how").set_value("own").run()
    at.button(key="try-own").click().run(timeout=60)
    at.button(key="run-cases").click().run(timeout=60)
    assert [r.passed for r in at.session_state["reward.results"]] == [True]
    assert "has changed since" not in said(at)
    assert '"passes"' in tables(at)
    at.text_area(key="reward.typed").set_value("def score(*a): return 2\n").run()
    assert "has changed since" in said(at)
    assert '"passes"' not in tables(at)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.000_82, "0.82 ms"), (0.011, "11 ms"), (0.1504, "150 ms"), (5.004, "5 s"), (72.3, "72 s")]
)
def test_how_long_scoring_took(seconds: float, shown: str) -> None:
    assert took(seconds) == shown


def test_yaml_both_ways(opened: Open, mine: str) -> None:
    at = opened("rewards", name=mine)
    written = at.text_area(key="reward.yaml").value
    assert "kind: numeric_match" in written
    at.text_area(key="reward.yaml").set_value(
        written.replace("relative_tolerance: 0.0", "relative_tolerance: 0.5")
    ).run()
    at.button(key="take-yaml").click().run()
    assert at.number_input(key=f"{settings_of(at, 'numeric_match')}.relative_tolerance").value == 0.5
    at.text_area(key="reward.yaml").set_value("functions: [{kind: nothing}]").run()
    at.button(key="take-yaml").click().run()
    assert "no reward function" in said(at)
    assert "kind: nothing" in at.text_area(key="reward.yaml").value


def test_a_wrong_setting_is_told_and_nothing_can_be_saved(opened: Open, mine: str) -> None:
    at = opened("rewards", name=mine)
    at.number_input(key=f"{settings_of(at, 'length')}.least").set_value(5000).run()
    assert "Every length would cost something" in said(at)
    assert at.button(key="save").disabled
    assert at.button(key="run-cases").disabled


def test_what_is_typed_stays_when_another_page_is_opened(opened: Open, workspace: Workspace) -> None:
    own = Reward.model_validate({"functions": [{"kind": "custom_python"}]})
    rewards.save(workspace.home, "own", own, "def score(*a): return 1\n")
    at = opened("rewards", name="own")
    at.text_area(key="reward.typed").set_value("def score(*a): return 2\n").run()
    at.switch_page(str(ROOT / "pages" / "models.py")).run()
    at.switch_page(str(ROOT / "pages" / "rewards.py"))
    at.query_params["name"] = "own"
    at.run()
    assert at.text_area(key="reward.typed").value == "def score(*a): return 2\n"
    assert "Not saved yet" in said(at)
    assert "custom_python" in at.text_area(key="reward.yaml").value


def test_delete_undo_and_a_name_that_is_gone(opened: Open, workspace: Workspace, mine: str) -> None:
    at = opened("rewards", name=mine)
    at.button(key="delete").click().run()
    at.button(key="really-delete").click().run()
    assert all(info.built_in for info in rewards.list_rewards(workspace.home))
    at.button(key="undo").click().run()
    assert rewards.get(workspace.home, mine).reward == NUMERIC
    assert "There is no reward" in said(opened("rewards", name="nothing"))
    assert "be a name here" in said(opened("rewards", name="../../etc"))


def test_the_form_of_a_job_offers_rewards_and_leads_to_the_bench(
    opened: Open, workspace: Workspace, mine: str, sums: str, model: str
) -> None:
    at = opened("new_job", kind="grpo", dataset=sums, model=model)
    assert at.selectbox(key="grpo.reward").value == "exact_match"
    assert any(s.key == "grpo.answer_extraction" for s in [*at.selectbox, *at.button_group])
    at.selectbox(key="grpo.reward").set_value(mine).run()
    assert not any(s.key == "grpo.answer_extraction" for s in [*at.selectbox, *at.button_group])
    constant = Reward.model_validate({"functions": [{"kind": "exact_match", "extraction": "tag", "tag": "z"}]})
    rewards.save(workspace.home, "hopeless", constant.model_copy(update={"clip_low": 1.0}))
    at.run()
    at.selectbox(key="grpo.reward").set_value("hopeless").run()
    assert "to every answer tried" in said(at)

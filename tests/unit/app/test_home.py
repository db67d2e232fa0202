"""Home by what the workspace holds, and the environment page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.stages import stage_title
from platform_core.database.engine import writing
from platform_core.demo import service as demo
from platform_core.errors import Problem, text
from platform_core.jobs import service as jobs
from platform_core.jobs import store
from platform_core.workspace.service import Workspace
from tests.unit.app.runs import add_job
from tests.unit.app.test_monitor import said

Open = Callable[..., AppTest]
HELDOUT = {
    "n": 500, "exact_match": 0.978, "exact_match_low": 0.961, "exact_match_high": 0.988,
    "sampled_accuracy": 0.84, "sampled_low": 0.82, "sampled_high": 0.86,
}  # fmt: skip


def labels(at: AppTest) -> list[str]:
    return [b.label for b in at.button]


def test_an_empty_workspace_has_three_doors(opened: Open, workspace: Workspace) -> None:
    at = opened("home")
    assert not at.exception
    assert {"Run the demo", "New job", "Add data"} <= set(labels(at))
    assert "in about two minutes" in said(at)


def test_one_press_queues_the_demo_and_leads_to_its_monitor(opened: Open, workspace: Workspace) -> None:
    at = opened("home")
    at.button(key="door-go-play_circle").click().run()
    found = jobs.list_jobs(workspace)
    assert len(found) == 7
    assert {job.state for job in found} == {"queued"}
    assert at.query_params["job"] == min(found, key=lambda j: j.created_at).id
    assert at.title[0].value == r"Demo tokenizer, seed 0"
    at = opened("home")
    assert not at.exception
    assert "The demo" in said(at)


def test_stages_of_the_demo_have_the_names_of_their_kinds(workspace: Workspace) -> None:
    demo.start_demo(workspace, 0)
    stages = demo.demo_jobs(workspace, demo.latest_demo(workspace) or "")
    assert [stage_title(name, job) for name, job in stages.items()] == [
        "Tokenizer", "Pretrain", "SFT", "GRPO", "Evaluate Base", "Evaluate SFT", "Evaluate GRPO",
    ]  # fmt: skip
    assert stage_title("sft-of-mine", next(iter(stages.values()))) == "sft-of-mine"


def test_what_failed_needs_you(opened: Open, workspace: Workspace) -> None:
    add_job(workspace, "failed", name="Broken run", reason=text("Memory ran out: take a smaller batch size."))
    at = opened("home")
    assert "Needs you" in said(at)
    assert "Memory ran out" in said(at)


def test_nothing_needs_you_when_all_is_well(opened: Open, workspace: Workspace) -> None:
    add_job(workspace, "running", steps=3)
    page = said(opened("home"))
    assert "Needs you" not in page or "are free on the disk" in page
    assert "failed" not in page


@pytest.fixture
def finished(workspace: Workspace) -> str:
    """A demo whose seven jobs are completed."""
    made = demo.start_demo(workspace, 0)
    for job in made:
        metrics = HELDOUT if job.kind == "evaluate" else {"loss": 0.1}
        with writing(workspace.engine) as connection:
            store.update_job(
                connection, job.id, state="completed", started_at=job.created_at, finished_at=job.created_at + 9,
                result={"metrics": metrics, "step": 10},
            )  # fmt: skip
    return str(made[0].group_name)


def test_a_finished_demo_shows_its_result_and_takes_sums(
    opened: Open, workspace: Workspace, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answers(place: Workspace, group: str, prompt: str) -> dict[str, str]:
        asked.append(prompt)
        assert (place.home, group) == (workspace.home, finished)
        return {"base": "1", "sft": "7+8=15 #85", "grpo": "#85"}

    monkeypatch.setattr(demo, "ask", answers)  # the models themselves answer in tests/e2e/test_newcomer.py
    at = opened("home")
    assert not at.exception
    assert "Seven jobs in" in said(at)
    at.text_input(key="demo.sum").set_value("47+38=")
    at.button(key="demo.send").click().run()
    assert asked == ["47+38="]
    assert not at.exception
    assert not at.error


def test_a_sum_that_is_none_is_refused_with_a_sentence(opened: Open, workspace: Workspace, finished: str) -> None:
    at = opened("home")
    at.text_input(key="demo.sum").set_value("two and two")
    at.button(key="demo.send").click().run()
    assert "is no sum" in said(at)


def test_a_failing_part_leaves_the_rest(
    opened: Open, workspace: Workspace, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(place: Workspace, group: str) -> object:
        raise Problem("The result can't be read.")

    monkeypatch.setattr(demo, "scores", broken)
    at = opened("home")
    assert not at.exception
    assert "The result can't be read." in said(at)
    assert at.text_input(key="demo.sum").value == "47+38="


def test_the_environment_page_says_what_doctor_says(opened: Open, workspace: Workspace, home: Path) -> None:
    at = opened("environment")
    assert not at.exception
    for section in ("Software", "Machine", "Workspace", "Programs", "Disk"):
        assert section in said(at)
    assert f"Folder: {home}" in at.code[0].value

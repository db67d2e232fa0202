"""The demo as a group of jobs: whole or not at all, joined rather than doubled, its result read from its jobs."""

from pathlib import Path

import pytest

from platform_core.database.engine import writing
from platform_core.demo import service as demo
from platform_core.errors import Problem
from platform_core.jobs import service, store
from platform_core.workspace.service import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path)


def test_seven_jobs_chained_by_what_they_need(workspace: Workspace) -> None:
    jobs = demo.start_demo(workspace, seed=3)
    assert [j.kind for j in jobs] == ["tokenizer", "pretrain", "sft", "grpo", *["evaluate"] * 3]
    assert {j.state for j in jobs} == {"queued"}
    by_name = demo.demo_jobs(workspace, jobs[0].group_name or "")
    assert [n.id for n in service.needs(workspace, by_name["grpo"].id)] == [by_name["sft"].id]
    assert by_name["evaluate-base"].spec["model"] == f"job:{by_name['pretrain'].id}"


def test_a_second_click_joins_the_demo_that_runs(workspace: Workspace) -> None:
    first, second = demo.start_demo(workspace), demo.start_demo(workspace)
    assert [j.id for j in first] == [j.id for j in second]
    assert {j.id for j in demo.start_demo(workspace, seed=1)}.isdisjoint(j.id for j in first)


def test_what_was_stopped_goes_on(workspace: Workspace) -> None:
    jobs = demo.start_demo(workspace)
    for job in jobs:
        service.stop(workspace, job.id)
    assert {j.state for j in demo.start_demo(workspace)} == {"queued"}


def test_a_demo_is_made_whole_or_not_at_all(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = service.create

    def interrupted(*args: object, **more: object) -> store.Job:
        if args[1] == "grpo":
            raise KeyboardInterrupt
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.start_demo(workspace)
    assert service.list_jobs(workspace) == []


def test_a_demo_killed_while_it_was_made_is_cleared_away(workspace: Workspace) -> None:
    jobs = demo.start_demo(workspace)
    with writing(workspace.engine) as connection:
        for job in jobs:
            store.update_job(connection, job.id, state="pending")
        for job in jobs[4:]:
            store.delete_rows(connection, job.id)
    again = demo.start_demo(workspace)
    assert len(again) == 7
    assert {j.id for j in service.list_jobs(workspace)} == {j.id for j in again}


def test_no_result_before_all_is_completed(workspace: Workspace) -> None:
    jobs = demo.start_demo(workspace)
    assert demo.demo_result(workspace, jobs[0].group_name or "") is None
    assert not (workspace.home / "demo").exists()


@pytest.mark.parametrize("prompt", ["", "hello", "1+", "1+2+3", "１+２=", "-1+2=", "__import__('os')", "1+2; ls"])
def test_only_sums_are_asked(workspace: Workspace, prompt: str) -> None:
    with pytest.raises(Problem, match="is no sum"):
        demo.ask(workspace, "demo-0-none", prompt)


def test_asking_before_the_training_says_so(workspace: Workspace) -> None:
    group = demo.start_demo(workspace)[0].group_name or ""
    with pytest.raises(Problem, match="not trained yet"):
        demo.ask(workspace, group, "1+2=")

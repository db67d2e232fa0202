"""Retry by policy, the time limit, and places in the queue, with real processes."""

from __future__ import annotations

import pytest

from platform_core.clock import now
from platform_core.environment.machine import usable_cores
from platform_core.jobs import processes, service
from platform_core.metrics.reader import Reader
from platform_core.queue import ordering
from runners.engines.hf import checkpoint

from .stage import Stage, assert_true, kill

OFTEN = {"retries": 2, "retry_wait_seconds": 0.2}


def test_a_job_killed_twice_is_retried_and_completes_and_each_step_counts_once(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(steps=80, step_seconds=0.02, save_every=3, **OFTEN)
    after = stage.create("after", steps=1, needs=(job.id,))
    for attempt in (1, 2):
        stage.until(lambda n=attempt: stage.get(job).attempt == n and stage.steps(job) >= 10 * n)  # type: ignore[misc]
        kill(stage.processes(job).runner)
        stage.until(lambda n=attempt: stage.get(job).retried == n)  # type: ignore[misc]
    done = stage.wait_for(job)
    assert (done.state, done.attempt, done.retried) == ("completed", 3, 2)
    assert_true(stage, job)
    attempts, changes = service.history(stage.workspace, job.id)
    assert [(a.outcome, a.cause) for a in attempts] == [("failed", "killed")] * 2 + [("completed", None)]
    again = [c for c in changes if (c.from_state, c.to_state) == ("failed", "queued")]
    assert [c.actor for c in again] == ["supervisor"] * 2
    assert [str(c.reason)[:22] for c in again] == ["Retry 1 of 2 in 0 s: T", "Retry 2 of 2 in 0 s: T"]
    with Reader(stage.workspace.job_folder(job.id) / "metrics.sqlite") as run:
        curve = run.curve("loss", 1000)
    assert list(curve.steps) == list(range(1, 81))
    assert stage.wait_for(after).state == "completed"


def test_a_job_fails_for_good_when_its_retries_are_used_up(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(steps=3, end="kill", **OFTEN)
    after = stage.create("after", steps=1, needs=(job.id,))
    failed = stage.wait_for(job)
    assert (failed.state, failed.attempt, failed.retried) == ("failed", 3, 2)
    assert str(failed.reason).endswith("It had been started again 2 times by itself.")
    assert_true(stage, job)
    assert "which failed" in str(stage.wait_for(after).reason)
    service.start(stage.workspace, job.id)
    assert stage.get(job).retried == 0
    assert stage.wait_for(job).attempt == 6


@pytest.mark.parametrize("end", ["error", "exit", "segfault"])
def test_what_would_fail_again_is_not_retried(stage: Stage, end: str) -> None:
    stage.start_supervisor()
    failed = stage.wait_for(stage.create(steps=1, end=end, **OFTEN))
    assert (failed.state, failed.attempt) == ("failed", 1)
    assert service.history(stage.workspace, failed.id)[0][0].cause == ("crashed" if end == "segfault" else "error")


def test_a_retry_waits_says_so_and_survives_a_new_supervisor(stage: Stage) -> None:
    supervisor = stage.start_supervisor()
    job = stage.create(steps=1000, step_seconds=0.02, save_every=2, retries=2, retry_wait_seconds=600.0)
    stage.until(lambda: stage.steps(job) >= 3)
    kill(stage.processes(job).runner)
    stage.until(lambda: stage.state(job) == "queued")
    wait = ordering.why(stage.workspace, job.id)
    assert wait is not None
    assert str(wait.reason).startswith("Retry 1 of 2 in 10 min 00 s: The runner was killed from outside")
    assert str(wait.expected) == "in about 10 min"
    kill(supervisor.pid)
    supervisor.wait()
    stage.start_supervisor()
    stage.wait_for(stage.create(steps=1))
    assert (stage.state(job), stage.get(job).attempt) == ("queued", 1)
    ordering.postpone(stage.workspace, job.id, None)
    stage.wait_for(job, "running")
    assert stage.get(job).attempt == 2


def test_a_stop_is_no_failure_and_is_never_retried(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(steps=100_000, deaf=True, **OFTEN)
    stage.until(lambda: stage.steps(job) >= 1)
    service.stop(stage.workspace, job.id)
    assert stage.wait_for(job).state == "stopped"
    assert stage.get(job).retried == 0


def test_a_time_limit_stops_with_a_checkpoint_over_all_attempts_and_gives_the_time_again(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(steps=100_000, step_seconds=0.02, save_every=1000, time_limit_hours=2 / 3600, **OFTEN)
    stage.until(lambda: stage.steps(job) >= 5)
    kill(stage.processes(job).runner)
    stopped = stage.wait_for(job, seconds=30)
    assert stopped.state == "stopped"
    assert str(stopped.reason).startswith("Stopped at its time limit of 2 s after step")
    attempts = service.history(stage.workspace, job.id)[0]
    assert [a.cause for a in attempts] == ["killed", "time_limit"]
    ran = sum((a.ended_at or 0.0) - a.launched_at for a in attempts)
    assert 1.9 < ran < 15
    assert checkpoint.last_whole(stage.workspace.job_folder(job.id) / "checkpoints") is not None
    assert_true(stage, job)
    assert (service.start(stage.workspace, job.id).time_limit or 0.0) == pytest.approx(ran + 2, abs=0.5)
    before = stopped.step or 0
    again = stage.wait_for(job, seconds=30)
    assert again.state == "stopped"
    assert (again.step or 0) > before


def test_a_job_does_not_start_before_its_time_and_others_go_on(stage: Stage) -> None:
    stage.start_supervisor()
    later = stage.create("later", steps=1, start=False)
    service.start(stage.workspace, later.id, not_before=now() + 3)
    began = now()
    assert stage.wait_for(stage.create(steps=1)).state == "completed"
    done = stage.wait_for(later)
    assert (done.started_at or 0.0) >= began + 2.9


def test_two_owners_take_turns_and_a_job_moved_to_the_top_goes_first(stage: Stage) -> None:
    whole = usable_cores()
    for name, owner in (("a1", "ada"), ("a2", "ada"), ("a3", "ada"), ("b1", "bob"), ("b2", "bob")):
        service.create(
            stage.workspace, "rehearsal", {"cpu_slots": whole, "steps": 1}, name=name, start=True, actor=owner
        )
    last = next(j for j in service.list_jobs(stage.workspace) if j.name == "a3")
    ordering.move(stage.workspace, last.id, "top")
    stage.start_supervisor()
    stage.until(lambda: service.count_jobs(stage.workspace).get("completed") == 5)
    order = sorted(service.list_jobs(stage.workspace), key=lambda j: j.started_at or 0.0)
    assert [j.name for j in order[:2]] == ["a3", "b1"]
    assert {j.name for j in order[2:4]} == {"a1", "b2"}
    assert not any(processes.alive(stage.processes(j).runner) for j in order)

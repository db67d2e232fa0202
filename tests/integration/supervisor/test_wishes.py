"""Stop, start, pause and delete, at the moments when they are awkward."""

from __future__ import annotations

import os
import signal

import pytest

from platform_core.errors import Problem
from platform_core.jobs import processes, service
from platform_core.jobs.outcome import has_checkpoint
from runners.engines.hf import checkpoint

from .stage import Stage, assert_true, kill

LONG = {"steps": 100_000, "step_seconds": 0.02}


def test_a_running_job_stops_after_its_step_and_goes_on_from_there(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(steps=400, step_seconds=0.01, save_every=1000)
    stage.until(lambda: stage.steps(job) >= 5)
    assert service.stop(stage.workspace, job.id, "ada").state == "stopping"
    stopped = stage.wait_for(job)
    assert (stopped.state, str(stopped.reason)) == ("stopped", f"Stopped by ada after step {stopped.result['step']}.")
    assert_true(stage, job)
    whole = checkpoint.last_whole(stage.workspace.job_folder(job.id) / "checkpoints")
    assert whole is not None
    assert whole.name == f"step-{stopped.result['step']}"
    assert service.start(stage.workspace, job.id).state == "queued"
    assert stage.wait_for(job).state == "completed"
    assert [a.outcome for a in service.history(stage.workspace, job.id)[0]] == ["stopped", "completed"]
    assert_true(stage, job)


def test_a_job_that_starts_can_be_stopped(stage: Stage) -> None:
    supervisor = stage.start_supervisor()
    stage.suspend(supervisor)
    job = stage.create(**LONG)
    kill(supervisor.pid, signal.SIGCONT)
    stage.until(lambda: stage.state(job) == "starting")
    service.stop(stage.workspace, job.id)
    assert stage.wait_for(job).state == "stopped"
    assert_true(stage, job)
    stage.until(lambda: len(stage.own_processes()) == 1)


def test_a_job_in_the_queue_is_stopped_at_once_and_never_begins(stage: Stage) -> None:
    job = stage.create(**LONG)
    assert service.stop(stage.workspace, job.id, "ada").state == "stopped"
    other = stage.create(steps=1)
    stage.start_supervisor()
    stage.wait_for(other)
    assert (stage.get(job).state, stage.get(job).attempt) == ("stopped", 0)
    assert str(stage.get(job).reason) == "Stopped by ada while it waited."


@pytest.mark.parametrize("deaf", [True, False], ids=["ignores SIGTERM", "suspended"])
def test_a_runner_that_does_not_stop_is_killed_after_the_grace(stage: Stage, deaf: bool) -> None:
    stage.start_supervisor()
    job = stage.create(**LONG, deaf=deaf, children=2)
    runner = stage.processes(job).runner
    stage.until(lambda: has_checkpoint(stage.workspace.job_folder(job.id)))
    if not deaf:
        kill(runner, signal.SIGSTOP)
    service.stop(stage.workspace, job.id, "ada")
    stopped = stage.wait_for(job)
    assert stopped.state == "stopped"
    assert str(stopped.reason) == (
        "Stopped by ada; it did not end within 1 seconds and was killed; started again, it goes on from its last "
        "whole checkpoint."
    )
    assert_true(stage, job)
    assert not processes.alive(runner)
    stage.until(lambda: len(stage.own_processes()) == 1)  # the keeper ends right after it has written what it saw


def test_a_job_that_completes_while_it_is_asked_to_stop_is_completed(stage: Stage) -> None:
    supervisor = stage.start_supervisor()
    job = stage.create(steps=60, step_seconds=0.02)
    runner = stage.processes(job).runner
    stage.wait_for(job, "running")
    stage.suspend(supervisor)
    service.stop(stage.workspace, job.id)
    stage.until(lambda: not processes.alive(runner))
    kill(supervisor.pid, signal.SIGCONT)
    assert stage.wait_for(job).state == "completed"
    assert_true(stage, job)


def test_a_signal_from_outside_stops_a_job_and_the_row_says_so(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(**LONG)
    stage.until(lambda: stage.steps(job) >= 1)
    kill(stage.processes(job).runner, signal.SIGTERM)
    stopped = stage.wait_for(job)
    assert stopped.state == "stopped"
    assert str(stopped.reason).startswith("A signal from outside asked the runner to stop after step")
    assert_true(stage, job)


def test_a_job_pauses_and_goes_on(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.create(steps=150, step_seconds=0.01)
    stage.until(lambda: stage.steps(job) >= 1)
    for _ in range(2):
        assert service.pause(stage.workspace, job.id, "ada").state == "pausing"
    paused = stage.wait_for(job, "paused", "failed", "completed")
    assert (paused.state, str(paused.reason)) == ("paused", f"Paused after step {paused.result['step']}.")
    assert service.pause(stage.workspace, job.id).state == "paused"
    stage.until(lambda: len(stage.own_processes()) == 1)
    service.start(stage.workspace, job.id)
    assert stage.wait_for(job).state == "completed"
    assert_true(stage, job)


def test_two_clicks_start_a_job_once_and_what_can_not_be_is_said(stage: Stage) -> None:
    job = stage.create(steps=50, step_seconds=0.02, start=False)
    for _ in range(2):
        assert service.start(stage.workspace, job.id).state == "queued"
    stage.start_supervisor()
    stage.wait_for(job, "running")
    assert service.start(stage.workspace, job.id).state == "running"
    with pytest.raises(Problem, match="stop it first"):
        service.delete(stage.workspace, job.id)
    done = stage.wait_for(job)
    assert done.attempt == 1
    with pytest.raises(Problem, match="nothing to stop"):
        service.stop(stage.workspace, job.id)
    with pytest.raises(Problem, match="clone it"):
        service.start(stage.workspace, job.id)


def test_a_queued_job_goes_to_the_trash_and_back_with_a_whole_history(stage: Stage) -> None:
    job = stage.create(steps=1)
    service.delete(stage.workspace, job.id)
    stage.start_supervisor()
    assert service.restore(stage.workspace, job.id).state == "pending"
    service.start(stage.workspace, job.id)
    assert stage.wait_for(job).state == "completed"
    assert_true(stage, job)


def test_a_folder_deleted_by_hand_ends_the_job_with_a_sentence(stage: Stage) -> None:
    stage.start_supervisor()
    job, other = stage.create(**LONG, children=2), stage.create(steps=100, step_seconds=0.02)
    runner = stage.processes(job).runner
    stage.until(lambda: stage.steps(job) >= 1)
    os.rename(stage.workspace.job_folder(job.id), stage.home / "elsewhere")
    failed = stage.wait_for(job)
    assert failed.state == "failed"
    assert str(failed.reason).startswith("Its folder was deleted while it ran")
    assert not processes.alive(runner)
    assert stage.wait_for(other).state == "completed"
    stage.until(lambda: len(stage.own_processes()) == 1)

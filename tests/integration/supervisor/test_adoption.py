"""A supervisor that died is followed by one that takes over what runs and settles what ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.errors import Problem
from platform_core.jobs import processes, service, store, supervision
from platform_core.queue import service as queue
from platform_core.queue.capacity import capacity
from runners.attempt import Attempt, Processes

from .stage import Stage, assert_true, kill


def test_a_running_job_does_not_notice_that_the_supervisor_was_killed(stage: Stage) -> None:
    first = stage.start_supervisor()
    job = stage.create(steps=150, step_seconds=0.02)
    before = stage.processes(job)
    stage.until(lambda: stage.steps(job) >= 2)
    kill(first.pid)
    first.wait()
    assert not supervision.is_alive(stage.home)
    assert processes.alive(before.runner)
    stage.start_supervisor()
    done = stage.wait_for(job)
    assert (done.state, done.attempt) == ("completed", 1)
    assert stage.processes(job) == before
    assert_true(stage, job)


def test_what_ended_while_nobody_looked_is_settled(stage: Stage) -> None:
    first = stage.start_supervisor()
    good, bad = stage.create(steps=40, step_seconds=0.02), stage.create(steps=40, step_seconds=0.02, end="exit")
    runners = [stage.processes(job).runner for job in (good, bad)]
    kill(first.pid)
    stage.until(lambda: not any(processes.alive(r) for r in runners))
    assert stage.state(good) in ("starting", "running")
    stage.start_supervisor()
    assert stage.wait_for(good).state == "completed"
    assert "exit code 7" in str(stage.wait_for(bad).reason)
    assert_true(stage, good)
    assert_true(stage, bad)


def test_a_claim_whose_runner_never_began_goes_back_into_the_queue(stage: Stage) -> None:
    job = stage.create(steps=2)
    _claim(stage, job.id)
    stopped = stage.create(steps=2)
    _claim(stage, stopped.id)
    service.stop(stage.workspace, stopped.id, "ada")
    stage.start_supervisor()
    done = stage.wait_for(job)
    assert (done.state, done.attempt) == ("completed", 2)
    tried, changes = service.history(stage.workspace, job.id)
    assert [a.outcome for a in tried] == ["void", "completed"]
    assert [c.to_state for c in changes] == ["queued", "starting", "queued", "starting", "running", "completed"]
    assert_true(stage, job)
    assert str(stage.wait_for(stopped).reason) == "Stopped by ada before it began."
    assert_true(stage, stopped)


def test_a_late_keeper_finds_its_attempt_void(stage: Stage) -> None:
    job = stage.create(steps=2, start=False)
    attempt = Attempt(stage.workspace.job_folder(job.id), 1)
    assert attempt.void()
    command = ["--folder", str(attempt.job_folder), "--attempt", "1", "--program", "rehearsal"]
    keeper = [sys.executable, "-P", "-m", "runners.keeper", *command]
    assert subprocess.run(keeper, env=stage.environment(), timeout=60, check=False).returncode == 3
    assert not (attempt.job_folder / "metrics.sqlite").exists()
    assert attempt.read_processes() is None


def _claim(stage: Stage, job_id: str) -> None:
    with writing(stage.workspace.engine) as connection:
        job = store.get_job(connection, job_id)
        assert job is not None
        assert queue.claim(connection, job, 1, host="here", interpreter="python", command=["python"]) == 1


@pytest.mark.parametrize("target", ["keeper", "runner", "both"])
def test_a_killed_keeper_or_runner_leaves_nothing_behind(stage: Stage, target: str) -> None:
    stage.start_supervisor()
    job = stage.create(steps=100, step_seconds=0.02, children=2)
    found = stage.processes(job)
    stage.until(lambda: stage.steps(job) >= 2)
    if target in ("keeper", "both"):
        kill(found.keeper)
    if target in ("runner", "both"):
        kill(found.runner)
    ended = stage.wait_for(job)
    assert ended.state == ("completed" if target == "keeper" else "failed")
    if target != "keeper":
        assert str(ended.reason).startswith("The runner was killed from outside")
    assert_true(stage, job)
    stage.until(lambda: len(stage.own_processes()) == 1)


def test_a_pid_used_again_by_another_program_is_left_alone(stage: Stage) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        job = stage.create(steps=2)
        _claim(stage, job.id)
        someone = processes.identity(stranger.pid)
        assert someone is not None
        earlier = replace(someone, start_ticks=someone.start_ticks - 500)
        attempt = Attempt(stage.workspace.job_folder(job.id), 1)
        attempt.write_processes(Processes(earlier, earlier))
        assert attempt.take_claim()
        with writing(stage.workspace.engine) as connection:
            assert queue.mark_running(connection, stage.get(job))
        stage.start_supervisor()
        ended = stage.wait_for(job)
        assert ended.state == "failed"
        assert str(ended.reason).startswith("The runner was killed from outside")
        assert stranger.poll() is None
        stranger.kill()


def test_a_job_of_an_earlier_boot_failed_with_it(stage: Stage) -> None:
    job = stage.create(steps=2)
    _claim(stage, job.id)
    me = replace(processes.me(), boot_id="another")
    attempt = Attempt(stage.workspace.job_folder(job.id), 1)
    attempt.folder.mkdir(parents=True)
    attempt.write_processes(Processes(me, me))
    assert attempt.take_claim()
    stage.start_supervisor()
    assert str(stage.wait_for(job).reason).startswith("The machine was started anew while the job ran")


def test_of_two_supervisors_one_wins_and_the_other_says_so(stage: Stage) -> None:
    first = stage.start_supervisor()
    second = stage.start_supervisor()
    assert second.wait(30) == 3
    assert f"is already running (pid {first.pid})" in stage.log()
    assert supervision.status(stage.home).pid == first.pid


def test_ensure_starts_one_and_stop_ends_it_and_not_the_runner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stage.environment().items():
        monkeypatch.setenv(name, value)
    assert supervision.ensure(stage.home)
    assert not supervision.ensure(stage.home)
    found = supervision.status(stage.home)
    assert found.alive
    assert abs((found.since or 0) - now()) < 60
    job = stage.create(steps=100, step_seconds=0.02)
    runner = stage.processes(job).runner
    assert supervision.stop(stage.home)
    assert not supervision.stop(stage.home)
    assert processes.alive(runner)
    assert supervision.ensure(stage.home)
    assert stage.wait_for(job).state == "completed"
    supervision.stop(stage.home)


def test_a_supervisor_that_can_not_work_is_a_sentence(stage: Stage) -> None:
    (stage.home / "platform.db").write_bytes(b"this is no database, and it is long enough to be looked at" * 50)
    (stage.home / "platform.db-wal").unlink(missing_ok=True)
    with pytest.raises(Problem, match="damaged"):
        supervision.ensure(stage.home)


def test_what_a_killed_run_left_half_written_is_swept(stage: Stage) -> None:
    job = stage.create(steps=1)
    stage.start_supervisor()
    stage.wait_for(job)
    folder = stage.workspace.job_folder(job.id)
    with reading(stage.workspace.engine) as connection:
        assert queue.claimable(connection, capacity(stage.workspace)) == []
    orphan = stage.workspace.jobs / "0123456789ab"
    young = stage.workspace.jobs / "0123456789cd"
    for path in (folder / ".output.1.part", folder / "checkpoints" / ".step-5.part", orphan, young):
        path.mkdir(parents=True)
        (path / "half").write_bytes(b"x")
        if path != young:
            _age(path, 4000)
    (folder / ".output.2.part").mkdir()
    stage.supervisors[0].send_signal(signal.SIGTERM)
    assert stage.supervisors[0].wait(30) == 0
    stage.start_supervisor()
    stage.until(lambda: not orphan.exists() and not (folder / ".output.1.part").exists())
    stage.until(lambda: not (folder / "checkpoints" / ".step-5.part").exists())
    assert young.is_dir()
    assert (folder / ".output.2.part").is_dir()
    (trashed,) = (stage.workspace.trash / "orphans").iterdir()
    assert (trashed / "half").read_bytes() == b"x"
    stage.until(lambda: not list((stage.home / "cache" / "swept").iterdir()))


def _age(path: Path, seconds: float) -> None:
    os.utime(path, (now() - seconds, now() - seconds))

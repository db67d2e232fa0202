"""Files that are damaged, deleted or locked while they are used, and a clock that goes back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Event

import pytest

from platform_core.errors import Problem
from platform_core.jobs import processes, service
from platform_core.jobs.folder import metrics_file
from platform_core.queue import ordering
from runners.engines.hf import checkpoint
from tests.integration.supervisor.stage import Stage, kill

from .truth import truth

HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("damage", ["truncated", "grown", "emptied", "marker"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(stage: Stage, damage: str) -> None:
    """A newest checkpoint whose files are not what they were is not used; the job goes on from the one before."""
    stage.start_supervisor()
    job = stage.create(steps=60, step_seconds=0.02, save_every=5)
    stage.until(lambda: stage.steps(job) >= 20)
    kill(stage.processes(job).runner)
    assert stage.wait_for(job).state == "failed"
    checkpoints = stage.workspace.job_folder(job.id) / "checkpoints"
    newest = checkpoint.last_whole(checkpoints)
    assert newest is not None
    broken = newest / ("complete.json" if damage == "marker" else "piece-3.bin")
    content = broken.read_bytes()
    broken.write_bytes({"truncated": content[:100], "grown": content + b"x", "emptied": b"", "marker": b"{"}[damage])
    older = checkpoint.last_whole(checkpoints)
    assert older is not None
    assert older.name != newest.name
    service.start(stage.workspace, job.id)
    assert stage.wait_for(job).state == "completed"
    truth(stage)


def test_metrics_deleted_while_they_are_written_come_back(stage: Stage) -> None:
    """Whoever deletes metrics.sqlite of a running job loses nothing of the job; the steps are in the file again."""
    stage.start_supervisor()
    job = stage.create(steps=100, step_seconds=0.02)
    stage.until(lambda: stage.steps(job) >= 10)
    path = metrics_file(stage.workspace, job)
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    assert stage.wait_for(job).state == "completed"
    truth(stage)


def test_metrics_damaged_while_they_are_written_are_told_and_cost_no_state(stage: Stage) -> None:
    """The job completes; its curve is whole or refused with a sentence; other jobs do not notice."""
    stage.start_supervisor()
    job, other = stage.create(steps=60, step_seconds=0.02), stage.create(steps=60, step_seconds=0.02)
    stage.until(lambda: stage.steps(job) >= 5)
    path = metrics_file(stage.workspace, job)
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert stage.wait_for(job).state == "completed"
    assert stage.wait_for(other).state == "completed"
    told = ""
    try:
        truth(stage)
    except Problem as problem:  # its pages were no longer in memory: a sentence, and never wrong numbers
        told = str(problem)
        path.unlink()
    assert not told or path.name in told
    truth(stage)


def test_metrics_locked_by_another_process_lose_no_step(stage: Stage) -> None:
    """Somebody holds metrics.sqlite for seconds: what is measured meanwhile is stored afterwards."""
    stage.start_supervisor()
    job = stage.create(steps=150, step_seconds=0.02, save_every=1000)
    stage.until(lambda: stage.steps(job) >= 5)
    command = [sys.executable, "-c", HOLD, str(metrics_file(stage.workspace, job))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        Event().wait(1.5)
        holder.communicate()
    assert stage.wait_for(job).state == "completed"
    truth(stage)


def test_a_database_locked_over_the_end_of_a_job_delays_its_row_only(new_stage: Callable[..., Stage]) -> None:
    """A runner is killed while nobody can write a row: once the lock is gone the job is retried and completes."""
    stage = new_stage(LATHE_BUSY_SECONDS="0.2", LATHE_WARM="frame")
    stage.start_supervisor()
    job = stage.create(steps=60, step_seconds=0.02, retries=3, retry_wait_seconds=0.1)
    runner = stage.processes(job).runner
    stage.wait_for(job, "running")
    holder = sqlite3.connect(stage.home / "platform.db", isolation_level=None, timeout=10)
    holder.execute("BEGIN EXCLUSIVE")
    kill(runner)
    Event().wait(1.5)
    assert not processes.alive(runner)
    holder.execute("ROLLBACK")
    holder.close()
    stage.until(lambda: stage.state(job) == "completed")
    assert stage.get(job).attempt == 2
    truth(stage)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_changes_no_outcome(
    new_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """The clock jumps between two supervisors: what runs runs on; stop, grace and retries work."""
    stage = new_stage(LATHE_WARM="frame", LATHE_STOP_GRACE="1")
    first = stage.start_supervisor()
    running = stage.create(steps=150, step_seconds=0.02)
    deaf = stage.create(steps=100_000, step_seconds=0.02, deaf=True)
    stage.until(lambda: stage.steps(running) >= 3 and stage.steps(deaf) >= 1)
    kill(first.pid)
    first.wait()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + jump)
    stage.settings["LATHE_TEST_CLOCK"] = str(jump)
    stage.start_supervisor()
    service.stop(stage.workspace, deaf.id)
    assert stage.wait_for(deaf).state == "stopped"
    assert stage.wait_for(running).state == "completed"
    assert stage.get(running).attempt == 1
    again = stage.create(steps=30, step_seconds=0.02, retries=3, retry_wait_seconds=0.2)
    kill(stage.processes(again).runner)
    stage.until(lambda: stage.state(again) == "completed")
    truth(stage)


def test_a_clock_put_back_while_a_job_waits_for_its_retry_delays_it_by_one_wait_at_most(
    new_stage: Callable[..., Stage],
) -> None:
    """The clock was a day ahead when the job failed; a time that a person chose is kept."""
    stage = new_stage(LATHE_WARM="frame", LATHE_TEST_CLOCK="86400")
    first = stage.start_supervisor()
    chosen, job = (stage.create(steps=30, step_seconds=0.02, retries=3, retry_wait_seconds=w) for w in (600, 4))
    for one in (chosen, job):
        kill(stage.processes(one).runner)
        stage.until(lambda one=one: stage.get(one).retried == 1)
    tomorrow = time.time() + 2 * 86_400
    ordering.postpone(stage.workspace, chosen.id, tomorrow)
    kill(first.pid)
    first.wait()
    stage.settings["LATHE_TEST_CLOCK"] = "0"
    stage.start_supervisor()
    stage.until(lambda: stage.state(job) == "completed")
    assert (stage.state(chosen), stage.get(chosen).not_before) == ("queued", tomorrow)
    truth(stage)

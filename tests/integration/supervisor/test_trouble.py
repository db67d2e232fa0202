"""What goes wrong around the supervisor: a locked database, a corrupt file, a clock that goes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import psutil
import pytest

from platform_core.clock import monotonic
from platform_core.database.engine import reading, writing
from platform_core.environment.machine import usable_cores
from platform_core.errors import Problem
from platform_core.jobs import processes, service, store
from platform_core.workspace.service import open_workspace
from runners.launchers.local import Local
from runners.place import log_path
from runners.supervisor import Supervisor

from .stage import Stage, assert_true

LOCKED_SECONDS = float(os.environ.get("LATHE_LOCKED_SECONDS", "3"))
HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Another process holds the database."""
    command = [sys.executable, "-c", HOLD, str(stage.home / "platform.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


def test_a_database_locked_by_another_process_delays_rows_and_nothing_else(new_stage: Callable[..., Stage]) -> None:
    stage = new_stage(LATHE_BUSY_SECONDS="0.5")
    whole = usable_cores()
    first = stage.create("first", steps=60, step_seconds=0.02, cpu_slots=whole)
    second = stage.create("second", steps=2, cpu_slots=whole)
    supervisor = stage.start_supervisor()
    runner = stage.processes(first).runner
    stage.wait_for(first, "running")
    began = monotonic()
    with locked(stage):
        stage.until(lambda: not processes.alive(runner))
        while monotonic() < began + LOCKED_SECONDS:
            Event().wait(0.05)
        assert stage.state(first) == "running"
        assert stage.state(second) == "queued"
    assert stage.wait_for(first).state == "completed"
    assert stage.wait_for(second).state == "completed"
    assert supervisor.poll() is None
    assert "this turn is done again later: Another process holds the workspace's database" in stage.log()
    assert_true(stage, first)
    assert_true(stage, second)


def test_a_supervisor_that_starts_while_the_database_is_locked_waits(stage: Stage) -> None:
    job = stage.create(steps=2)
    with locked(stage):
        stage.start_supervisor()
        stage.until(lambda: "done again later" in stage.log())
        assert stage.state(job) == "queued"
    assert stage.wait_for(job).state == "completed"


def test_a_corrupt_metrics_file_costs_the_curve_and_not_the_job(stage: Stage) -> None:
    stage.start_supervisor()
    job, other = stage.create(steps=80, step_seconds=0.02), stage.create(steps=80, step_seconds=0.02)
    stage.until(lambda: stage.steps(job) >= 1)
    path = stage.workspace.job_folder(job.id) / "metrics.sqlite"
    path.rename(path.with_name("away"))
    path.write_bytes(b"not a database at all, but some text that is long enough" * 100)
    assert stage.wait_for(job).state == "completed"
    assert stage.wait_for(other).state == "completed"
    assert "cannot be read" in stage.log()
    assert_true(stage, job)


def test_a_kind_of_another_version_fails_with_a_sentence_and_holds_up_nobody(stage: Stage) -> None:
    job, other = stage.create(steps=1, start=False), stage.create(steps=1)
    with writing(stage.workspace.engine) as connection:
        store.update_job(connection, job.id, kind="telepathy")
        assert store.change_state(connection, job.id, ("pending",), "queued", "test")
    stage.start_supervisor()
    assert str(stage.wait_for(job).reason).startswith("There is no kind of job called “telepathy”")
    assert stage.wait_for(other).state == "completed"


def test_a_clock_set_back_changes_no_outcome(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stage.environment().items():
        monkeypatch.setenv(name, value)
    supervisor = Supervisor(stage.workspace, Local(stage.home, log_path(stage.home)))
    job = stage.create(steps=1000, step_seconds=0.02, deaf=True)
    _turn(supervisor, lambda: stage.state(job) == "running")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() - 86_400)
    service.stop(stage.workspace, job.id)
    began = monotonic()
    _turn(supervisor, lambda: stage.state(job) == "stopped")
    assert 0.9 < monotonic() - began < 20
    service.start(stage.workspace, job.id)
    _turn(supervisor, lambda: stage.state(job) == "running")
    with reading(stage.workspace.engine) as connection:
        first, second = store.attempts_of(connection, job.id)
    assert second.launched_at < first.launched_at
    processes.kill([stage.processes(job).runner.pid], signal.SIGKILL)
    _turn(supervisor, lambda: stage.state(job) == "failed")
    assert_true(stage, job)


def _turn(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not done():
        assert monotonic() < deadline
        Event().wait(min(supervisor.turn(), 0.05))


def test_a_job_folder_that_can_not_be_written_fails_the_job_with_a_sentence(stage: Stage) -> None:
    job, other = stage.create(steps=1), stage.create(steps=1)
    (stage.workspace.job_folder(job.id) / "attempts").write_text("in the way")
    stage.start_supervisor()
    ended = stage.wait_for(job)
    assert ended.state == "failed"
    assert str(ended.reason).startswith("The job's folder can't be written (")
    assert stage.wait_for(other).state == "completed"


def test_a_workspace_that_was_deleted_ends_its_supervisor(stage: Stage) -> None:
    supervisor = stage.start_supervisor()
    stage.home.rename(stage.home.with_name("elsewhere"))
    assert supervisor.wait(30) == 0
    stage.home.with_name("elsewhere").rename(stage.home)
    assert "the workspace was moved or deleted" in stage.log()


def test_an_idle_supervisor_costs_next_to_nothing(stage: Stage) -> None:
    process = psutil.Process(stage.start_supervisor().pid)
    stage.wait_for(stage.create(steps=1))
    shares: list[float] = []
    # A machine that is busy with something else makes each second's work dearer: the least tells.
    while len(shares) < 10 and min(shares, default=1.0) >= 0.02:
        before, began = process.cpu_times(), monotonic()
        Event().wait(4.0)
        after = process.cpu_times()
        shares.append((after.user + after.system - before.user - before.system) / (monotonic() - began))
    assert min(shares) < 0.02, f"{min(shares):.2%} of a core"


def test_a_locked_database_is_a_sentence_for_whoever_writes(stage: Stage) -> None:
    job = stage.create(steps=1, start=False)
    with locked(stage):
        quick = open_workspace(stage.home, busy_seconds=0.2)
        with pytest.raises(Problem, match="Another process holds"):
            service.start(quick, job.id)
    assert stage.state(job) == "pending"

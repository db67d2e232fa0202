"""Processes that lie, that sleep, that do not listen, and that go their own way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from threading import Event

import pytest

from platform_core.database.engine import writing
from platform_core.errors import Problem
from platform_core.jobs import processes, service, store, supervision
from platform_core.jobs.states import STOPPABLE
from platform_core.queue import service as queue
from runners.attempt import Attempt, Processes
from tests.integration.supervisor.stage import Stage, kill

from .truth import ROUNDS, dice, running_jobs, truth

LONG = {"steps": 100_000, "step_seconds": 0.02}


@pytest.mark.parametrize("wish", ["", "stop", "pause"])
@pytest.mark.parametrize("known_by", ["file", "row", "other boot"])
def test_a_pid_that_now_belongs_to_somebody_else_is_never_signalled(stage: Stage, known_by: str, wish: str) -> None:
    """Rows and files name the pid of an innocent process with another start: it gets no signal, and the job ends."""
    with ExitStack() as ending:
        script = 'trap "echo TERM" TERM; trap "echo USR1" USR1; echo ready; while :; do sleep 0.05; done'
        innocent = ending.enter_context(
            subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True)
        )
        ending.callback(innocent.kill)
        assert innocent.stdout is not None
        assert innocent.stdout.readline() == "ready\n"
        who = processes.identity(innocent.pid)
        assert who is not None
        earlier = replace(who, boot_id="b" * 36) if known_by == "other boot" else replace(who, start_ticks=7)
        job = stage.create(steps=2)
        attempt = Attempt(stage.workspace.job_folder(job.id), 1)
        with writing(stage.workspace.engine) as connection:
            now_there = store.get_job(connection, job.id)
            assert now_there is not None
            assert queue.claim(connection, now_there, 1, host="here", interpreter="python", command=["python"]) == 1
            if known_by == "row":
                store.update_attempt(
                    connection, job.id, 1, pid=earlier.pid, pid_started=earlier.start_ticks, boot_id=earlier.boot_id
                )
        attempt.folder.mkdir(parents=True, exist_ok=True)
        if known_by != "row":
            attempt.write_processes(Processes(earlier, earlier))
        assert attempt.take_claim()
        with writing(stage.workspace.engine) as connection:
            assert queue.mark_running(connection, stage.get(job))
        if wish == "stop":
            service.stop(stage.workspace, job.id)
        elif wish == "pause":
            service.pause(stage.workspace, job.id)
        stage.start_supervisor()
        assert stage.wait_for(job).state == ("stopped" if wish == "stop" else "failed")
        truth(stage)
        kill(innocent.pid, signal.SIGKILL)
        assert innocent.stdout.read() == ""


@pytest.mark.parametrize("killed", ["nobody", "keeper", "runner", "both"])
def test_a_child_that_survives_its_runner_does_not_survive_the_job(stage: Stage, killed: str) -> None:
    """Children in a session of their own and double-forked daemons end with the attempt, whoever was killed.

    Also those that executed nothing, of which the kernel tells the environment of the warm parent.
    """
    stage.start_supervisor()
    stage.until(lambda: "warm parent ready" in stage.log())
    job = stage.create(steps=60, step_seconds=0.02, children=2, daemons=2, forks=2)
    found = stage.processes(job)
    stage.until(lambda: stage.steps(job) >= 2)
    assert len(running_jobs(stage)[job.id]) == 8
    for who in {"keeper": [found.keeper], "runner": [found.runner], "both": [found.keeper, found.runner]}.get(
        killed, []
    ):
        kill(who)
        stage.until(lambda who=who: not processes.alive(who))
    assert stage.wait_for(job).state == ("completed" if killed in ("nobody", "keeper") else "failed")
    truth(stage)
    stage.until(lambda: all("supervisor" in c or "runners.warm" in c for c in stage.own_processes().values()))
    assert len(stage.own_processes()) == 2


@pytest.mark.parametrize("how", ["ignores SIGTERM", "is suspended", "is suspended with its keeper"])
def test_a_runner_that_does_not_listen_is_told_truly_and_ends_when_stopped(stage: Stage, how: str) -> None:
    """While it hangs its row says running, and stopping once it was asked; after the grace it and its children end."""
    stage.start_supervisor()
    job = stage.create(**LONG, deaf=how == "ignores SIGTERM", children=2, daemons=1)
    found = stage.processes(job)
    stage.until(lambda: stage.steps(job) >= 1)
    if how != "ignores SIGTERM":
        kill(found.runner, signal.SIGSTOP)
    if how == "is suspended with its keeper":
        kill(found.keeper, signal.SIGSTOP)
    Event().wait(0.5)
    before = stage.get(job)
    assert before.state == "running"
    assert processes.alive(found.runner)
    service.stop(stage.workspace, job.id, "ada")
    assert stage.get(job).state == "stopping"
    ended = stage.wait_for(job)
    assert (ended.state, "was killed" in str(ended.reason)) == ("stopped", True)
    truth(stage)


def test_a_suspended_runner_that_goes_on_is_completed(stage: Stage) -> None:
    """SIGSTOP and SIGCONT from outside cost time and nothing else."""
    stage.start_supervisor()
    job = stage.create(steps=60, step_seconds=0.02)
    runner = stage.processes(job).runner
    stage.until(lambda: stage.steps(job) >= 5)
    kill(runner, signal.SIGSTOP)
    Event().wait(2.0)
    assert stage.state(job) == "running"
    kill(runner, signal.SIGCONT)
    ended = stage.wait_for(job)
    assert (ended.state, ended.attempt) == ("completed", 1)
    truth(stage)


def test_of_many_supervisors_started_at_once_one_works(stage: Stage) -> None:
    """One holds the place, the others end with code 3; every job runs once, also when the one is killed meanwhile."""
    jobs = [stage.create(steps=10, step_seconds=0.01) for _ in range(6)]
    for turn in range(3):
        many = [launch_supervisor(stage) for _ in range(3)]
        stage.until(lambda many=many: sum(p.poll() is None for p in many) == 1 and supervision.is_alive(stage.home))
        holder = next(p for p in many if p.poll() is None)
        assert supervision.status(stage.home).pid == holder.pid
        assert {p.returncode for p in many if p is not holder} == {3}
        if turn < 2:
            kill(holder.pid)
            holder.wait()
    for job in jobs:
        assert stage.wait_for(job).state == "completed"
    truth(stage)


def launch_supervisor(stage: Stage) -> subprocess.Popen[bytes]:
    """Start one more and do not wait for it."""
    command = [sys.executable, "-P", "-m", "runners.supervisor", "--home", str(stage.home)]
    with (stage.home / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=stage.environment(), cwd=stage.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    stage.supervisors.append(process)
    return process


def test_stop_and_complete_at_the_same_instant(new_stage: Callable[..., Stage]) -> None:
    """Whichever came first is what the row says, and it agrees with result.json and the output."""
    stage = new_stage(LATHE_WARM="frame")
    stage.start_supervisor()
    ends, steps = {"completed": 0, "stopped": 0}, 16
    for number in range(max(12, ROUNDS)):
        job = stage.create(steps=steps, step_seconds=0.02, save_every=2)
        stage.until(lambda job=job: (stage.workspace.job_folder(job.id) / "metrics.sqlite").exists())
        Event().wait(0.3 * dice("instant", number).uniform(0.9, 1.1))
        if stage.get(job).state in STOPPABLE:
            with suppress(Problem):  # it ended in between
                service.stop(stage.workspace, job.id)
        end = stage.wait_for(job).state
        ends[end] += 1
        # Ever nearer to the length at which either may be first.
        steps = max(2, round(steps * (1.4 if end == "completed" else 0.7)))
    print(ends)
    truth(stage)
    assert min(ends.values()) >= 1

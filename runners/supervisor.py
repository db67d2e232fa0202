"""The supervisor of a workspace: `python -m runners.supervisor [--home FOLDER]`.

One at a time, by a lock on `supervisor.lock`. It may die at any moment: all it knows is in the database and in the
jobs' folders, and runners do not need it. A second one ends at once with exit code 3.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy.exc import OperationalError

from platform_core.algorithms.registry import algorithm
from platform_core.clock import monotonic, now
from platform_core.database.engine import reading, writing
from platform_core.environment.machine import usable_cores
from platform_core.environments import service as environments
from platform_core.errors import Problem, Text, text
from platform_core.jobs import queue, service, store
from platform_core.jobs.capacity import capacity
from platform_core.jobs.fair_share import UsageCounter
from platform_core.jobs.placement import still_free
from platform_core.jobs.store import Job
from platform_core.jobs.supervision import ALREADY, LOG
from platform_core.settings import home_folder, stop_grace_seconds, supervisor_busy_seconds
from platform_core.workspace.service import Workspace, open_workspace
from runners.launchers import Launcher, Order
from runners.launchers.local import Local
from runners.place import Complaints, Held, Taken, hold, log_path, log_to
from runners.sampler import Sampler
from runners.sweep import Sweeper
from runners.watch import Watcher
from runners.watchdog import Courier, Watchdog

log = logging.getLogger("lathe.supervisor")
BUSY_PAUSE, IDLE_PAUSE = 0.15, 0.3
LOOK_EVERY = 1.0
"""Seconds after which the database is read although its files did not change (another kind of database has none)."""
HEARTBEAT_EVERY = 5.0


class Supervisor:
    """The loop and what it remembers; `turn` does one round and returns how long to wait for the next."""

    def __init__(self, workspace: Workspace, launcher: Launcher, held: Held | None = None) -> None:
        self.workspace, self.launcher, self.held = workspace, launcher, held
        self.cores = usable_cores()
        self.watcher = Watcher(workspace, launcher, Sweeper(workspace), stop_grace_seconds())
        self.complaints = Complaints(log)
        self.ending = False
        self._active: list[Job] = []
        self._seen: tuple[int, ...] = ()
        self._looked_at = self._beaten_at = -LOOK_EVERY - HEARTBEAT_EVERY
        self._queue_may_move = True
        self._usage = UsageCounter()

    def turn(self) -> float:
        """Look after running jobs, then start what may start. Trouble with one job leaves the others alone."""
        try:
            self.launcher.tend()
            self._look_at_rows()
            for job in self._active:
                self._alone(job, self._look)
            self._write_progress()
            if self._queue_may_move:
                self._queue_may_move = False
                self._move_queue()
        except Exception as error:
            self._queue_may_move, self._seen = True, ()
            self.complaints.say("this turn is done again later", error)
        if self.held is not None and monotonic() - self._beaten_at >= HEARTBEAT_EVERY:
            self._beaten_at = monotonic()
            self.held.beat(now())
        return BUSY_PAUSE if self._active or self._queue_may_move else IDLE_PAUSE

    def _look_at_rows(self) -> None:
        seen = self._signature()
        if seen == self._seen and monotonic() - self._looked_at < LOOK_EVERY:
            return
        with reading(self.workspace.engine) as connection:
            self._active = queue.active_jobs(connection)
        self._seen, self._looked_at, self._queue_may_move = seen, monotonic(), True
        self.watcher.forget_all_but({(job.id, job.attempt) for job in self._active})

    def _signature(self) -> tuple[int, ...]:
        found: list[int] = []
        for name in ("platform.db", "platform.db-wal"):
            try:
                stat = os.stat(self.workspace.home / name)
                found += (stat.st_mtime_ns, stat.st_size)
            except OSError:
                found += (0, 0)
        return tuple(found)

    def _alone(self, job: Job, action: Callable[[Job], None]) -> None:
        try:
            action(job)
        except Exception as error:
            if _of_database(error):
                raise
            self.complaints.say(f"job {job.id}", error)

    def _look(self, job: Job) -> None:
        self.watcher.look(job, self._order(job))

    def _order(self, job: Job) -> Order:
        try:
            program = algorithm(job.kind).program
        except Problem:  # a kind of another version: what runs is still looked after
            program = ""
        folder = self.workspace.job_folder(job.id)
        return Order(job.id, job.attempt, folder, program, max(1, min(job.cpu_slots, self.cores)))

    def _write_progress(self) -> None:
        for job in self._active:
            if job.id in self.watcher.progress:
                self._alone(job, self._write_progress_of)
        self.watcher.progress.clear()

    def _write_progress_of(self, job: Job) -> None:
        with writing(self.workspace.engine) as connection:
            store.update_job(connection, job.id, **self.watcher.progress[job.id])

    def _move_queue(self) -> None:
        with reading(self.workspace.engine) as connection:
            if not queue.is_anyone_waiting(connection):
                return
        have = capacity(self.workspace)
        with reading(self.workspace.engine) as connection:
            overlong = queue.overlong_waits(connection)
            hopeless = queue.hopeless(connection)
            claimable = queue.claimable(connection, have, self._usage.usage(connection, queue.whole(have)))
        for job_id, at in overlong:
            with writing(self.workspace.engine) as connection:
                queue.start_sooner(connection, job_id, at)
            log.info("job %s: the clock was put back while it waited for its retry", job_id)
        if hopeless:
            with writing(self.workspace.engine) as connection:
                for job_id, reason in hopeless:
                    queue.give_up(connection, job_id, reason)
                    log.info("job %s: %s", job_id, reason)
            self._queue_may_move = True  # others may wait for those
        for chosen in claimable:
            self._alone(chosen.job, partial(self._start, gpus=chosen.gpus if have.gpus else None))

    def _start(self, job: Job, gpus: tuple[str, ...] | None) -> None:
        try:
            algorithm(job.kind)
        except Problem as problem:
            with writing(self.workspace.engine) as connection:
                queue.give_up(connection, job.id, problem.text)
            return
        begun = replace(job, state="starting", attempt=job.attempt + 1)
        order = replace(self._order(begun), gpus=gpus)
        try:
            named = job.spec.get("environment")
            order = replace(order, interpreter=environments.interpreter(self.workspace.home, named, job.engine))
        except Problem as problem:
            with writing(self.workspace.engine) as connection:
                queue.give_up(connection, job.id, problem.text)
            return
        with writing(self.workspace.engine) as connection:
            number = queue.claim(
                connection,
                job,
                order.threads,
                host=socket.gethostname(),
                interpreter=order.interpreter,
                command=self.launcher.command(order),
                gpus=gpus or (),
            )
        if not number:
            return
        log.info("job %s: attempt %d (%s, %d threads)", job.id, number, job.kind, order.threads)
        trouble: Text | None = None
        try:
            self.watcher.expect(order, now())
            service.write_run(self.workspace, begun, number, order.threads)
            gone = still_free(gpus, job.gpu_memory_bytes, capacity(self.workspace).gpus) if gpus else None
            if gone is not None:
                self._put_back(begun, gone)
                return
            self.launcher.launch(order)
        except Problem as problem:
            trouble = problem.text
        except OSError as error:
            trouble = text(
                "The job's folder can't be written ({reason}): look at the disk's free space and the folder's owner, "
                "then start the job again.",
                reason=error.strerror or str(error),
            )
        except Exception as error:
            if _of_database(error):
                raise
            self.complaints.say(f"job {job.id}", error)
            trouble = text("It could not be started: the supervisor's log, {log}, has the reason.", log=LOG)
        if trouble is not None:
            self.watcher.fail_unbegun(begun, order, trouble)

    def _put_back(self, begun: Job, reason: Text) -> None:
        with writing(self.workspace.engine) as connection:
            queue.requeue(connection, begun, reason, outcome="waited")
        log.info("job %s: attempt %d: %s", begun.id, begun.attempt, reason)


class Companion(Protocol):
    """A thread beside the supervisor's loop, with work that may be slow; it must not change a job's state."""

    def start(self) -> None:
        """Begin, and return at once."""

    def close(self) -> None:
        """End within a moment."""


def companions(workspace: Workspace) -> list[Companion]:
    """All that works beside the loop, in the order in which it begins."""
    return [Sampler(workspace), Watchdog(workspace), Courier(workspace)]


def watch_for_ever(supervisor: Supervisor, held: Held) -> None:
    """Turn until asked to end, or until the workspace is not ours any more."""
    inbox, outbox = socket.socketpair()
    inbox.setblocking(False)
    outbox.setblocking(False)
    signal.set_wakeup_fd(outbox.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: setattr(supervisor, "ending", True))
    while not supervisor.ending:
        pause = supervisor.turn()
        if not held.is_ours():
            log.warning("the workspace was moved or deleted: the supervisor ends")
            return
        if supervisor.ending:
            return
        ready, _, _ = select.select([inbox, *supervisor.launcher.wakes()], [], [], pause)
        if inbox in ready:
            inbox.recv(4096)


def open_patiently(home: Path) -> Workspace:
    """The workspace, however long another process holds its database; other trouble is raised."""
    while True:
        try:
            return open_workspace(home, busy_seconds=supervisor_busy_seconds())
        except Problem as problem:
            if not _of_database(problem) or "locked" not in str(problem.__cause__):
                raise
            log.warning("waiting for the database: %s", problem)
            select.select([], [], [], 1.0)


def _of_database(error: Exception) -> bool:
    # locked, full or gone for all jobs alike; what it refuses of one job is that job's trouble
    return any(isinstance(e, OperationalError | sqlite3.OperationalError) for e in (error, error.__cause__))


def main(arguments: list[str] | None = None) -> int:
    """Be the supervisor until SIGTERM; runners stay alive then. Exit codes: 0 asked to end, 1 can't, 3 there is one."""
    parser = argparse.ArgumentParser(prog="python -m runners.supervisor", description=__doc__)
    parser.add_argument("--home", type=Path, default=None, help="the workspace; default PLATFORM_HOME or ./workspace")
    home = (parser.parse_args(arguments).home or home_folder()).absolute()
    os.environ["PLATFORM_HOME"] = str(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        held = hold(home)
    except Taken as taken:
        print(taken, file=sys.stderr)
        return ALREADY
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The workspace {home} can't be used: {error.strerror}.", file=sys.stderr)
        return 1
    log_to(home)
    launcher = Local(home, log_path(home))
    beside: list[Companion] = []
    try:
        launcher.tend()  # the warm parent loads its libraries while we open the workspace
        workspace = open_patiently(home)
        held.beat(now())
        log.info("supervisor of %s: pid %d", home, os.getpid())
        for companion in companions(workspace):
            companion.start()
            beside.append(companion)
        watch_for_ever(Supervisor(workspace, launcher, held), held)
    except Problem as problem:
        log.error("%s", problem)
        print(problem, file=sys.stderr)
        return 1
    finally:
        for companion in reversed(beside):
            companion.close()
        launcher.close()
    log.info("supervisor ends")
    return 0


if __name__ == "__main__":
    sys.exit(main())

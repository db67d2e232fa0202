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
import sys
from pathlib import Path
from typing import Protocol

from platform_core.clock import monotonic, now
from platform_core.database.engine import is_of_database, reading, writing
from platform_core.errors import Problem
from platform_core.files import signature
from platform_core.jobs import store
from platform_core.jobs.store import Job
from platform_core.jobs.supervision import ALREADY
from platform_core.queue import service as queue
from platform_core.settings import home_folder, stop_grace_seconds, supervisor_busy_seconds
from platform_core.workspace.service import Workspace, open_workspace
from runners.launchers import Launcher
from runners.launchers.local import Local
from runners.place import Complaints, Held, Taken, hold, log_path, log_to
from runners.sampler import Sampler
from runners.starting import Starter
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
        self.watcher = Watcher(workspace, launcher, Sweeper(workspace), stop_grace_seconds())
        self.complaints = Complaints(log)
        self.starter = Starter(workspace, launcher, self.watcher, self.complaints)
        self.ending = False
        self._active: list[Job] = []
        self._seen: tuple[int, ...] = ()
        self._looked_at = self._beaten_at = -LOOK_EVERY - HEARTBEAT_EVERY
        self._queue_may_move = True

    def turn(self) -> float:
        """Look after running jobs, then start what may start. Trouble with one job leaves the others alone."""
        try:
            self.launcher.tend()
            self._look_at_rows()
            for job in self._active:
                self.complaints.apart(job, self._look)
            self._write_progress()
            if self._queue_may_move:
                self._queue_may_move = self.starter.move_queue()
        except Exception as error:
            self._queue_may_move, self._seen = True, ()
            self.complaints.say("this turn is done again later", error)
        if self.held is not None and monotonic() - self._beaten_at >= HEARTBEAT_EVERY:
            self._beaten_at = monotonic()
            self.held.beat(now())
        return BUSY_PAUSE if self._active or self._queue_may_move else IDLE_PAUSE

    def _look_at_rows(self) -> None:
        seen = signature(self.workspace.home / "platform.db", self.workspace.home / "platform.db-wal")
        if seen == self._seen and monotonic() - self._looked_at < LOOK_EVERY:
            return
        with reading(self.workspace.engine) as connection:
            self._active = queue.active_jobs(connection)
        self._seen, self._looked_at, self._queue_may_move = seen, monotonic(), True
        self.watcher.forget_all_but({(job.id, job.attempt) for job in self._active})

    def _look(self, job: Job) -> None:
        self.watcher.look(job, self.starter.order(job))

    def _write_progress(self) -> None:
        for job in self._active:
            if job.id in self.watcher.progress:
                self.complaints.apart(job, self._write_progress_of)
        self.watcher.progress.clear()

    def _write_progress_of(self, job: Job) -> None:
        with writing(self.workspace.engine) as connection:
            store.update_job(connection, job.id, **self.watcher.progress[job.id])


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
            if not is_of_database(problem) or "locked" not in str(problem.__cause__):
                raise
            log.warning("waiting for the database: %s", problem)
            select.select([], [], [], 1.0)


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

"""The doctor's rounds beside the supervisor's loop, and the courier that sends what the doctor finds.

Both only read jobs and write alerts; trouble in one round is logged and the next one goes on. Which ends were looked at
is kept in `watchdog.json`, so that a new supervisor also sees those that came while none lived, and none twice.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Thread
from typing import Any

from sqlalchemy import select

from platform_core.alerts import notify
from platform_core.alerts import service as alerts
from platform_core.clock import monotonic, now
from platform_core.database.engine import reading
from platform_core.database.tables import transitions
from platform_core.doctor import service as doctor
from platform_core.doctor.case import case_of
from platform_core.errors import Problem, Text
from platform_core.files import read_json, signature, write_json
from platform_core.hosts.devices import Snapshot
from platform_core.hosts.history import FRESH_SECONDS, latest, recent
from platform_core.hosts.place import this_host
from platform_core.jobs import store
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ACTIVE
from platform_core.jobs.store import Attempt, Job
from platform_core.workspace.service import Workspace
from runners.place import Complaints

log = logging.getLogger("lathe.watchdog")
EVERY_SECONDS = 5.0
AT_LEAST_EVERY = 60.0
SEND_EVERY = 2.0
SNAPSHOTS = 240
"""Of the host, the newest ones: twenty minutes."""
REMEMBERED = 420.0
"""Seconds of the host's samples from before this supervisor: what rules about time look back to."""
CPU_SHARE = 0.1
"""At most this part of one core is spent on looking, however many jobs live."""
FILE = "watchdog.json"
AHEAD = 200
"""Rows of history read again each round: one with a lower number may become visible later."""
NEWS = 7 * 86_400.0
"""In a workspace that was never watched, ends of the last week are looked at."""


@dataclass
class Round:
    """What is remembered of a live attempt between two looks."""

    files: tuple[int, ...] = ()
    looked_at: float = -AT_LEAST_EVERY


class Beside:
    """A thread that does a round every few seconds until it is closed."""

    def __init__(self, name: str, every: float, act: Callable[[], None]) -> None:
        self.closing = Event()
        self._complaints, self._every, self._act = Complaints(log), every, act
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._thread.join(1.0)  # it may wait for another machine's answer, which ends with the process

    def _run(self) -> None:
        while not self.closing.is_set():
            try:
                self._act()
            except Exception as error:
                self._complaints.say("this round is done again later", error)
            self.closing.wait(self._every)


class Watchdog(Beside):
    """Looks at jobs that live and at attempts that have ended, and keeps what the doctor finds."""

    def __init__(self, workspace: Workspace, every: float = EVERY_SECONDS) -> None:
        super().__init__("watchdog", every, self.look)
        self.workspace, self.host = workspace, this_host()
        self._rounds: dict[tuple[str, int], Round] = {}
        self._done: set[int] = set()
        self._snapshots: deque[Snapshot] | None = None
        self._until = self._begin()

    def look(self) -> None:
        """One round: ends first, then the live jobs that changed, the longest unseen first."""
        self._look_at_host()
        self._look_at_ends()
        with reading(self.workspace.engine) as connection:
            live = store.find_jobs(connection, states=ACTIVE)
        keys = {(job.id, job.attempt) for job in live}
        self._rounds = {key: self._rounds.get(key, Round()) for key in keys}
        for job in sorted(live, key=lambda j: self._rounds[j.id, j.attempt].looked_at):
            seen = self._rounds[job.id, job.attempt]
            files = self._signature(job)
            if files == seen.files and monotonic() - seen.looked_at < AT_LEAST_EVERY:
                continue
            seen.files, seen.looked_at = files, monotonic()
            self._slowly(job, lambda job=job: self._examine(job))  # type: ignore[misc]
            if self.closing.is_set():
                return
            self._look_at_ends()
        alerts.end_hosts(self.workspace, self.host)

    def _look_at_host(self) -> None:
        try:
            if self._snapshots is None:
                self._snapshots = deque(maxlen=SNAPSHOTS)
                self._snapshots.extend(recent(self.workspace, self.host, REMEMBERED))
            newest = latest(self.workspace, self.host)
        except Problem as problem:  # a damaged file, which the sampler replaces
            log.info("%s", problem)
            return
        if newest is not None and newest.snapshot not in list(self._snapshots)[-1:]:
            self._snapshots.append(newest.snapshot)

    def _history(self) -> tuple[Snapshot, ...]:
        """Snapshots of the host, oldest first; none when the newest is too old to be told as now."""
        seen = tuple(self._snapshots or ())
        return seen if seen and abs(now() - seen[-1].time) <= FRESH_SECONDS else ()

    def _examine(self, job: Job) -> None:
        found = doctor.examine(case_of(self.workspace, job, history=self._history()))
        with reading(self.workspace.engine) as connection:
            there = store.get_job(connection, job.id)
        if there is None or (there.attempt, there.state in ACTIVE) != (job.attempt, True):
            return  # it ended meanwhile, which is looked at as such
        alerts.keep(self.workspace, job, found, self.host, doctor.host_rules())

    def _look_at_ends(self) -> None:
        rows = self._new_ends()
        for row in rows:
            if self.closing.is_set():
                return
            ended = self._ended_attempt(row)
            if ended is not None:
                job, attempt = ended
                self._slowly(job, lambda job=job, attempt=attempt: self._examine_end(job, attempt))  # type: ignore[misc]
            self._done.add(row.id)
            self._remember(row.id)

    def _new_ends(self) -> list[Any]:
        query = (
            select(transitions.c.id, transitions.c.job_id, transitions.c.time, transitions.c.reason)
            .where(transitions.c.id > self._until - AHEAD, transitions.c.from_state.in_(ACTIVE))
            .where(transitions.c.to_state.not_in(ACTIVE))
            .order_by(transitions.c.id)
        )
        with reading(self.workspace.engine) as connection:
            return [row for row in connection.execute(query) if row.id not in self._done]

    def _ended_attempt(self, row: Any) -> tuple[Job, Attempt] | None:
        """The attempt that a change of state ended, with its job as it was then; None for one of a deleted job."""
        with reading(self.workspace.engine) as connection:
            job = store.get_job(connection, row.job_id)
            tried = store.attempts_of(connection, row.job_id)
        begun = [a for a in tried if a.launched_at <= row.time] or tried  # the clock may have been set back
        if job is None or job.deleted_at is not None or not begun:
            return None
        attempt = begun[-1]
        if attempt.ended_at is None or attempt.outcome in (None, "void"):
            return None
        reason = None if row.reason is None else Text.from_json(row.reason)
        return replace(job, attempt=attempt.number, state=attempt.outcome, reason=reason), attempt

    def _examine_end(self, job: Job, attempt: Attempt) -> None:
        found = doctor.examine(case_of(self.workspace, job, history=self._history()))
        well = attempt.outcome == "completed"
        ended_at = attempt.ended_at or now()
        alerts.keep_end(self.workspace, job, found, doctor.host_rules(), ended_at, well)

    def _slowly(self, job: Job, act: Callable[[], None]) -> None:
        """Do it, then rest as long as its share of a core asks; trouble with one job leaves the others alone."""
        before = time.thread_time()
        try:
            act()
        except Problem as problem:
            log.info("job %s: %s", job.id, problem)
        except Exception as error:
            self._complaints.say(f"job {job.id}", error)
        self.closing.wait((time.thread_time() - before) * (1 / CPU_SHARE - 1))

    def _signature(self, job: Job) -> tuple[int, ...]:
        metrics = metrics_file(self.workspace, job)
        log_of_attempt = metrics.with_name("attempts") / str(job.attempt) / "log.txt"
        return signature(metrics, metrics.with_name(metrics.name + "-wal"), log_of_attempt)

    def _begin(self) -> int:
        """Up to which row of history ends were looked at; rows shortly before it that were are known as well."""
        kept = read_json(self.workspace.home / FILE) or {}
        until, done = kept.get("until"), kept.get("done")
        if isinstance(until, int):
            self._done = {n for n in done if isinstance(n, int)} if isinstance(done, list) else set()
            return until
        with reading(self.workspace.engine) as connection:
            old = select(transitions.c.id).where(transitions.c.time < now() - NEWS)
            first = connection.scalar(old.order_by(transitions.c.id.desc()).limit(1))
        return int(first or 0) + AHEAD

    def _remember(self, row_id: int) -> None:
        self._until = max(self._until, row_id)
        self._done = {n for n in self._done if n > self._until - AHEAD}
        write_json(self.workspace.home / FILE, {"until": self._until, "done": sorted(self._done)})


class Courier(Beside):
    """Sends new alerts; another machine that does not answer delays nobody else."""

    def __init__(self, workspace: Workspace, every: float = SEND_EVERY) -> None:
        super().__init__("courier", every, self._send)
        self.workspace = workspace

    def _send(self) -> None:
        notify.deliver(self.workspace, lambda: not self.closing.is_set())

"""Samples this host every two seconds beside the supervisor's loop: one sampler a host, however many jobs live."""

from __future__ import annotations

import contextlib
from pathlib import Path
from threading import Event, Thread

from platform_core.clock import now
from platform_core.database.engine import reading
from platform_core.errors import Problem
from platform_core.hosts import history, machine, nvml
from platform_core.hosts.devices import Snapshot
from platform_core.hosts.place import this_host
from platform_core.jobs import store
from platform_core.jobs.states import ACTIVE
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import Workspace
from runners.place import Complaints
from runners.watchdog import log

EVERY = 2.0
WRITE_EVERY = 60.0
"""Seconds after which a writer's own thread looks again; each sample is stored at once by ours."""
FINE_SECONDS = 3600.0
"""A job's own file gets every sample for the first hour of it, then every fifth."""
COARSE = 5


class Sampler:
    """The thread and its files: the day's file of the host, and one for each live job."""

    def __init__(self, workspace: Workspace, every: float = EVERY) -> None:
        self.workspace, self.host, self.every = workspace, this_host(), every
        self._ending, self._complaints, self._look = Event(), Complaints(log), machine.Look()
        self._day: Writer | None = None
        self._jobs: dict[str, tuple[float, Writer]] = {}
        self._devices: dict[str, list[str]] = {}
        self._count = 0
        self._thread = Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(5.0)

    def sample(self) -> Snapshot:
        """Look once and store it."""
        seen = machine.snapshot(self.host, self.workspace.home, self._leaders(), self._look)
        self._count += 1
        self._keep(seen)
        self._keep_jobs(seen)
        return seen

    def _leaders(self) -> dict[str, int]:
        """The process of each live job of this host; also which GPUs each was given."""
        with reading(self.workspace.engine) as connection:
            live = store.find_jobs(connection, states=ACTIVE)
            attempts = [a for job in live for a in store.attempts_of(connection, job.id) if a.number == job.attempt]
        here = [a for a in attempts if a.host == self.host and a.pid is not None]
        self._devices = {a.job_id: list(a.devices) for a in here}
        return {a.job_id: a.pid for a in here if a.pid is not None}

    def _keep(self, seen: Snapshot) -> None:
        path = history.file_of(self.workspace, self.host, seen.time)
        if self._day is None or self._day.path != path:
            if self._day is not None:
                self._day.close()
            for folder in (path.parent.parent, path.parent):  # not of a workspace that was moved away meanwhile
                folder.mkdir(exist_ok=True)
            self._day = _open(path)
            for old in sorted(path.parent.glob("????-??-??.sqlite"))[: -history.DAYS_KEPT]:
                for suffix in ("", "-wal", "-shm"):
                    old.with_name(old.name + suffix).unlink(missing_ok=True)
        self._day.metrics(int(seen.time), history.numbers(seen))
        self._day.progress(snapshot=history.to_json(seen))
        self._day.flush()

    def _keep_jobs(self, seen: Snapshot) -> None:
        for job in self._jobs.keys() - seen.jobs.keys():
            self._jobs.pop(job)[1].close()
        for job, found in seen.jobs.items():
            if job not in self._jobs:
                path = history.job_file(self.workspace, job)
                if not path.parent.is_dir():
                    continue
                self._jobs[job] = (now(), _open(path))
            since, writer = self._jobs[job]
            if seen.time - since > FINE_SECONDS and self._count % COARSE:
                continue
            given = [gpu for gpu in seen.gpus if gpu.uuid in self._devices.get(job, ())]
            more = {f"gpu.{g.index}.utilization": g.utilization for g in given if g.utilization is not None}
            writer.metrics(int(seen.time), {**found, **more})
            writer.flush()

    def _run(self) -> None:
        while True:
            try:
                self.sample()
            except Exception as error:
                self._complaints.say("this host could not be sampled", error)
            if self._ending.wait(self.every):
                break
        for writer in [w for _, w in self._jobs.values()] + ([self._day] if self._day is not None else []):
            with contextlib.suppress(Exception):
                writer.close()
        nvml.close()


def _open(path: Path) -> Writer:
    """The file's writer; one that is damaged makes room for a new one, since samples are no loss."""
    try:
        return Writer(path, WRITE_EVERY)
    except Problem:
        path.unlink(missing_ok=True)
        return Writer(path, WRITE_EVERY)

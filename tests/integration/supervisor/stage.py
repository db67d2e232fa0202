"""A workspace with real supervisors, for the tests of this folder: start, wait, kill, and look for what is left."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from platform_core.clock import monotonic
from platform_core.files import read_json
from platform_core.jobs import processes, service, supervision
from platform_core.jobs.processes import Identity
from platform_core.jobs.states import ENDED, NEXT
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace, open_workspace
from runners.attempt import Attempt, Processes
from runners.engines.hf import checkpoint

ROOT = Path(__file__).resolve().parents[3]
REHEARSAL = Path(__file__).parent / "rehearsal"
PIECES = 20


@dataclass
class Stage:
    """One workspace and the environment in which its supervisors run."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace: Workspace = open_workspace(self.home)
        self.supervisors: list[subprocess.Popen[bytes]] = []

    def environment(self) -> dict[str, str]:
        own = {
            "PLATFORM_HOME": str(self.home),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{REHEARSAL}",
            "LATHE_WARM": "0",
            "OMP_NUM_THREADS": "1",
        }
        return {**os.environ, **own, **self.settings}

    def start_supervisor(self) -> subprocess.Popen[bytes]:
        """A supervisor that holds its place; its output goes to the log as in real life."""
        with (self.home / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "runners.supervisor", "--home", str(self.home)],
                env=self.environment(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.supervisors.append(process)
        self.until(lambda: supervision.status(self.home).pid == process.pid or process.poll() is not None)
        return process

    def suspend(self, supervisor: subprocess.Popen[bytes]) -> None:
        """SIGSTOP at a moment when the supervisor does not hold the database."""
        database = sqlite3.connect(self.home / "platform.db", timeout=0.1, isolation_level=None)
        while True:
            kill(supervisor.pid, signal.SIGSTOP)
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                kill(supervisor.pid, signal.SIGCONT)
                continue
            database.execute("ROLLBACK")
            database.close()
            return

    def create(self, name: str = "", *, needs: tuple[str, ...] = (), start: bool = True, **values: object) -> Job:
        return service.create(
            self.workspace, "rehearsal", {"cpu_slots": 1, "retries": 0, **values}, name=name, needs=needs, start=start
        )

    def get(self, job: Job) -> Job:
        return service.get(self.workspace, job.id)

    def state(self, job: Job) -> str:
        return self.get(job).state

    def until(self, condition: Callable[[], object], seconds: float = 180.0) -> None:
        """Wait until something is true, and fail with the supervisor's log when it does not become so."""
        deadline = monotonic() + seconds
        while not condition():
            if monotonic() > deadline:
                raise AssertionError(f"not true after {seconds:g} s\n{self.log()}")
            Event().wait(0.02)

    def wait_for(self, job: Job, *states: str, seconds: float = 180.0) -> Job:
        """The job once it is in one of `states` (default: ended)."""
        self.until(lambda: self.state(job) in (states or ENDED), seconds)
        return self.get(job)

    def log(self) -> str:
        return "\n".join((self.home / "supervisor.log").read_text().splitlines()[-60:])

    def attempt(self, job: Job) -> Attempt:
        now_there = self.get(job)
        return Attempt(self.workspace.job_folder(job.id), now_there.attempt)

    def processes(self, job: Job) -> Processes:
        """Keeper and runner of a job, as soon as they are there."""
        self.until(lambda: self.attempt(job).claimed())
        found = self.attempt(job).read_processes()
        assert found is not None
        return found

    def steps(self, job: Job) -> int:
        return self.get(job).step or 0

    def own_processes(self) -> dict[int, str]:
        """Every process of this workspace but the test itself, by its environment, command line or job folder."""
        found = {}
        for row in processes.table():
            if row.state in "ZXx" or row.pid == os.getpid():
                continue
            command = _read(f"/proc/{row.pid}/cmdline")
            if str(self.home) in command or str(self.home) in _read(f"/proc/{row.pid}/environ"):
                found[row.pid] = command.replace("\0", " ")
        return found

    def close(self) -> None:
        """End everything of this workspace."""
        deadline = monotonic() + 20
        while (left := self.own_processes()) and monotonic() < deadline:
            processes.kill(list(left), signal.SIGKILL)
            Event().wait(0.02)
        for process in self.supervisors:
            process.wait()


def kill(process: Identity | int, number: int = signal.SIGKILL) -> None:
    processes.kill([process if isinstance(process, int) else process.pid], number)


def assert_true(stage: Stage, job: Job) -> None:
    """The row of an ended job tells what is so: its files, its history, its reason."""
    job = stage.get(job)
    folder = stage.workspace.job_folder(job.id)
    tried, changes = service.history(stage.workspace, job.id)
    result = read_json(folder / "result.json")
    mine = result is not None and result.get("attempt") == job.attempt
    assert (job.state == "completed") == (mine and result["status"] == "completed")
    if job.state == "completed":
        assert {p.name for p in (folder / "output").iterdir()} == {f"piece-{n}.json" for n in range(PIECES)}
        assert job.reason is None
    else:
        assert job.reason is not None, job
        assert str(job.reason)
    assert not list(folder.glob(".output*"))
    assert not list((folder / "checkpoints").glob(".*"))
    for path in (folder / "checkpoints").glob("*"):
        assert checkpoint.is_whole(path, int(path.name.removeprefix("step-"))), path
    assert not (folder / "twice").exists()
    state = changes[0].to_state
    for change in changes[1:]:
        assert change.from_state == state
        assert change.to_state in NEXT[state], (state, change)
        state = change.to_state
    assert state == job.state
    for attempt in tried:
        assert attempt.outcome is not None, attempt
        assert attempt.ended_at is not None
    assert [a.number for a in tried] == list(range(1, len(tried) + 1))


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""

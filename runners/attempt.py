"""The files of one attempt, through which keeper, launcher and supervisor understand each other.

`claim` decides who may begin: the keeper makes it when the runner is ready to go, and `process.json` is whole by
then; whoever else makes it first knows, and makes sure, that the attempt never begins.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from platform_core.clock import now
from platform_core.files import read_json, sync_folder, write_json
from platform_core.jobs.outcome import Exit
from platform_core.jobs.processes import Identity, boot_id

VOID = b"void"


@dataclass(frozen=True)
class Processes:
    """Who runs an attempt: the keeper, and the runner that leads a session and group of its own."""

    keeper: Identity
    runner: Identity


@dataclass(frozen=True)
class Attempt:
    """One attempt of the job in `job_folder`."""

    job_folder: Path
    number: int

    @property
    def folder(self) -> Path:
        return self.job_folder / "attempts" / str(self.number)

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def token(self) -> str:
        """`NAME=value` that stands in the environment of every process that the attempt starts."""
        return f"LATHE_ATTEMPT={self.job_folder.name}.{self.number}"

    def claimed(self) -> bool:
        return (self.folder / "claim").exists()

    def is_void(self) -> bool:
        """Whether the claim was taken so that the attempt never begins."""
        try:
            return (self.folder / "claim").read_bytes() == VOID
        except OSError:
            return False

    def take_claim(self, why: bytes = b"") -> bool:
        """Decide, once for all, whether the attempt begins; False when that was decided before. Raises OSError."""
        try:
            fd = os.open(self.folder / "claim", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(fd, "wb") as file:
            file.write(why)
        sync_folder(self.folder)
        return True

    def void(self) -> bool:
        """Make sure that an attempt never begins; False when it has begun. A job folder that is gone never began."""
        if not self.job_folder.is_dir():
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.take_claim(VOID) or self.is_void()

    def write_processes(self, processes: Processes) -> None:
        keeper, runner = processes.keeper, processes.runner
        document = {"keeper": keeper.as_json(), "runner": runner.as_json(), "pgid": runner.pid}
        write_json(self.folder / "process.json", document)

    def read_processes(self) -> Processes | None:
        data = read_json(self.folder / "process.json") or {}
        keeper, runner = Identity.from_json(data.get("keeper")), Identity.from_json(data.get("runner"))
        return Processes(keeper, runner) if keeper and runner else None

    def reserve_exit(self) -> None:
        """Take the disk space of `exit.json` now, so that it can be written on a full disk."""
        with (self.folder / ".exit.part").open("wb") as file:
            file.write(b" " * 512)
            file.flush()
            os.fsync(file.fileno())

    def write_exit(self, ended: Exit) -> None:
        """Say how the runner ended; nothing is written when the folder was deleted."""
        document = {"code": ended.code, "signal": ended.signal, "out_of_memory": ended.out_of_memory, "time": now()}
        with (self.folder / ".exit.part").open("r+b") as file:
            file.write(json.dumps(document).encode().ljust(512))
            file.flush()
            os.fsync(file.fileno())
        (self.folder / ".exit.part").replace(self.folder / "exit.json")

    def read_exit(self) -> Exit | None:
        data = read_json(self.folder / "exit.json")
        if data is None:
            return None
        code, signal = data.get("code"), data.get("signal")
        return Exit(
            code=code if isinstance(code, int) else None,
            signal=signal if isinstance(signal, int) else None,
            out_of_memory=data.get("out_of_memory") is True,
        )

    def unseen_exit(self, processes: Processes | None) -> Exit:
        """The end of a runner whose keeper did not live to see it."""
        return Exit(rebooted=processes is not None and processes.runner.boot_id != boot_id())

    def read_result(self) -> dict[str, object] | None:
        """The runner's own result, or None when it left none for this attempt."""
        result = read_json(self.job_folder / "result.json")
        return result if result is not None and result.get("attempt") == self.number else None

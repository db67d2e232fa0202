"""Runners on this machine: a keeper and its runner, begun from nothing or forked from the warm parent."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.errors import Text, text
from platform_core.files import write_json
from platform_core.jobs import processes
from platform_core.jobs.outcome import last_error_line
from platform_core.jobs.processes import Identity
from platform_core.settings import warm_parts
from runners.attempt import Attempt
from runners.launchers import Order, Sight
from runners.launchers.environment import redacted, runner_environment
from runners.launchers.fork_server import ForkServer

log = logging.getLogger("lathe.supervisor")
PATIENCE = 30.0
"""Seconds that a job waits for a warm parent that is still loading: from nothing it would load the same, later."""
ANSWER_SECONDS = 10.0
KEEPER_SECONDS = 15.0
"""How long a keeper may take to clear up behind its dead runner."""


@dataclass
class Start:
    """A start under way: waiting for the warm parent to load, asked of it, or with a keeper."""

    order: Order
    environment: dict[str, str]
    asked_at: float | None = None
    asked_of: int | None = None
    keeper: subprocess.Popen[bytes] | Identity | None = None
    trouble: Text | None = None


class Local:
    """The launcher of this machine for one workspace."""

    def __init__(self, home: Path, output: Path) -> None:
        self.home = home
        preload = warm_parts()
        self.warm = ForkServer(home, output, preload) if preload else None
        self._starts: dict[tuple[str, int], Start] = {}
        self._keepers: list[subprocess.Popen[bytes]] = []
        self._dead_since: dict[tuple[str, int], float] = {}

    def command(self, order: Order) -> list[str]:
        keeper = [sys.executable, "-P", "-m", "runners.keeper"]
        command = [*keeper, "--folder", str(order.folder), "--attempt", str(order.number), "--program", order.program]
        return command if order.interpreter == sys.executable else [*command, "--interpreter", order.interpreter]

    def launch(self, order: Order) -> None:
        own = dict([("LATHE_JOB", order.job_id), order.attempt.token.split("=", 1)])
        start = Start(order, runner_environment(self.home, order.threads, gpus=order.gpus) | own)
        write_json(order.attempt.folder / "command.json", {"command": self.command(order), "folder": str(order.folder)})
        write_json(order.attempt.folder / "environment.json", redacted(start.environment))
        self._starts[order.job_id, order.number] = start
        self._send(start)

    def look(self, order: Order, known: Identity | None) -> Sight:
        key, attempt = (order.job_id, order.number), order.attempt
        start = self._starts.get(key)
        if known is None and not attempt.claimed() and attempt.job_folder.is_dir():
            return self._look_at_start(start) if start else _void_unless_begun(attempt)
        if attempt.is_void():
            return _explained(start)
        begun = attempt.read_processes()
        runner = begun.runner if begun else known
        if processes.alive(runner):
            return Sight("running", runner=runner)
        ended = attempt.read_exit()
        if ended is None and begun and processes.alive(begun.keeper):
            since = self._dead_since.setdefault(key, monotonic())
            if monotonic() - since < KEEPER_SECONDS:
                return Sight("running", runner=runner)
            processes.kill([begun.keeper.pid])
        if runner is not None:
            processes.kill(processes.members(runner, attempt.token))
        return Sight("ended", runner=runner, exit=ended or attempt.unseen_exit(begun))

    def signal(self, order: Order, runner: Identity, number: int) -> None:
        if not processes.alive(runner):
            return
        if number != signal.SIGKILL:
            processes.kill([runner.pid], number)
            return
        begun = order.attempt.read_processes()
        keeper = begun.keeper.pid if begun else -1
        processes.kill([pid for pid in processes.members(runner, order.attempt.token) if pid != keeper])

    def cancel(self, order: Order) -> bool:
        if not order.attempt.void():
            return False
        self.forget(order)
        return True

    def forget(self, order: Order) -> None:
        self._starts.pop((order.job_id, order.number), None)
        self._dead_since.pop((order.job_id, order.number), None)

    def tend(self) -> None:
        self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]
        if self.warm is None:
            return
        for answer in self.warm.tend():
            start = self._starts.get((Path(str(answer["folder"])).name, int(str(answer["attempt"]))))
            if start is not None:
                start.keeper = processes.identity(int(str(answer["pid"])))
        for start in self._starts.values():
            if start.asked_at is None and start.keeper is None and start.trouble is None:
                self._send(start)

    def wakes(self) -> list[int]:
        number = None if self.warm is None else self.warm.fileno()
        return [] if number is None else [number]

    def close(self) -> None:
        if self.warm is not None:
            self.warm.close()

    def _send(self, start: Start) -> None:
        order, warm = start.order, self.warm
        if order.interpreter != sys.executable:
            warm = None  # it has this interpreter's libraries
        if warm is not None and warm.ask(order.folder, order.number, order.program, start.environment):
            start.asked_at, start.asked_of = monotonic(), warm.pid
            return
        loading = warm.loading_seconds() if warm is not None else None
        if loading is not None and loading < PATIENCE:
            return
        try:
            start.keeper = self._start_keeper(start)
        except Exception as error:
            log.warning("job %s: %s", order.job_id, error)
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            start.trouble = text("The runner could not be started: {reason}.", reason=reason)
            return
        self._keepers.append(start.keeper)

    def _start_keeper(self, start: Start) -> subprocess.Popen[bytes]:
        with open(start.order.attempt.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            return subprocess.Popen(
                self.command(start.order),
                env=start.environment,
                cwd=start.order.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _look_at_start(self, start: Start) -> Sight:
        if start.trouble is not None:
            gone = True
        elif isinstance(start.keeper, subprocess.Popen):
            gone = start.keeper.poll() is not None
        elif isinstance(start.keeper, Identity):
            gone = not processes.alive(start.keeper)
        else:
            gone = start.asked_at is not None and self._unanswered(start)
        if not gone:
            return Sight("waiting")
        return _explained(start) if start.order.attempt.void() else Sight("waiting")

    def _unanswered(self, start: Start) -> bool:
        assert self.warm is not None
        assert start.asked_at is not None
        if self.warm.pid == start.asked_of and monotonic() - start.asked_at > ANSWER_SECONDS:
            log.warning("the warm parent gives no answer: it is replaced")
            self.warm.kill()
        return self.warm.pid != start.asked_of


def _void_unless_begun(attempt: Attempt) -> Sight:
    return Sight("void") if attempt.void() else Sight("waiting")


def _explained(start: Start | None) -> Sight:
    # a keeper that broke by itself would break again; one that was killed, or never forked, may be tried again
    if start is None or start.trouble is not None:
        return Sight("void", trouble=start.trouble if start else None)
    code = start.keeper.returncode if isinstance(start.keeper, subprocess.Popen) else None
    line = last_error_line(start.order.attempt.log)
    if (code is None or code < 0) and not line:
        return Sight("void")
    reason = line.rstrip(".") or f"its keeper ended with exit code {code}"
    return Sight("void", trouble=text("The runner could not be started: {reason}.", reason=reason))

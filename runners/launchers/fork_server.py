"""The supervisor's end of the line to the warm parent (`runners/warm.py`): start it, ask it, replace it."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.root import ROOT
from runners.launchers.environment import runner_environment
from runners.warm import CUDA_BEGUN, ROOM

log = logging.getLogger("lathe.supervisor")
FIRST_REST, LONGEST_REST = 1.0, 300.0
"""Seconds before a dead warm parent is replaced: doubled each time, back to the first once one became ready."""


class ForkServer:
    """One warm parent, or the memory of one that died."""

    def __init__(self, home: Path, output: Path, preload: str) -> None:
        self.home, self.output, self.preload = home, output, preload
        self.ready = False
        self.pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._buffer = b""
        self._rest, self._again_at, self._began = FIRST_REST, 0.0, 0.0

    def loading_seconds(self) -> float | None:
        """How long it has been loading the libraries; None when it is ready or dead."""
        return None if self.ready or self._process is None else monotonic() - self._began

    def tend(self) -> list[dict[str, object]]:
        """Start it when it is time, notice its death, and hand out its answers."""
        if self._process is None:
            if monotonic() >= self._again_at:
                self._start()
            return []
        answers = self._read()
        code = self._process.poll()
        if code == CUDA_BEGUN and self.preload != "frame":
            log.warning("a warm parent with the libraries is no use for GPUs here: the next one is without them")
            self.preload = "frame"
        if code is not None:
            log.warning("the warm parent (pid %s) ended with %s; a new one in %.0f s", self.pid, code, self._rest)
            self._forget()
        return answers

    def ask(self, folder: Path, attempt: int, program: str, environment: Mapping[str, str]) -> bool:
        """Ask for a keeper with its runner; False when it can't be asked now."""
        if not self.ready or self._line is None:
            return False
        request = {"folder": str(folder), "attempt": attempt, "program": program, "environment": dict(environment)}
        try:
            data = json.dumps(request).encode() + b"\n"
            if self._line.send(data) == len(data):
                return True
        except OSError as error:
            log.warning("the warm parent does not listen: %s", error)
        self.kill()
        return False

    def kill(self) -> None:
        """End it for certain: afterwards it forks nothing more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def fileno(self) -> int | None:
        return None if self._line is None else self._line.fileno()

    def close(self) -> None:
        """Close the line: it ends by itself."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = runner_environment(self.home, threads=1) | dict([ROOM.split("=")])
        command = [
            sys.executable,
            "-P",
            "-m",
            "runners.warm",
            "--line",
            str(theirs.fileno()),
            "--preload",
            self.preload,
        ]
        try:
            with theirs, self.output.open("ab") as output:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except OSError as error:
            log.warning("no warm parent: %s", error)
            ours.close()
            self._put_off()
            return
        ours.setblocking(False)
        self._line, self._buffer, self._began, self.pid = ours, b"", monotonic(), self._process.pid

    def _read(self) -> list[dict[str, object]]:
        assert self._line is not None
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := self._line.recv(65_536):
                self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        answers = [json.loads(line) for line in lines]
        for answer in answers:
            if answer.get("ready"):
                self.ready, self._rest = True, FIRST_REST
                log.info(
                    "warm parent ready: pid %s, %s s, %s CPU s, %s thread(s)",
                    self.pid, answer["seconds"], answer["cpu_seconds"], answer["threads"],
                )  # fmt: skip
        return [answer for answer in answers if "pid" in answer]

    def _forget(self) -> None:
        self.close()
        self._process, self.pid, self.ready = None, None, False
        self._put_off()

    def _put_off(self) -> None:
        self._again_at = monotonic() + self._rest
        self._rest = min(2 * self._rest, LONGEST_REST)

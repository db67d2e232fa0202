"""The supervisor as the page, the command line and the API see it: is it alive, start it, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.errors import Problem
from platform_core.files import read_json
from platform_core.jobs import processes
from platform_core.jobs.processes import Identity
from platform_core.root import python_path

CARD, LOG = "supervisor.json", "supervisor.log"
ALREADY = 3
"""Exit code of a supervisor that found another one."""
START_SECONDS = 30.0
STOP_SECONDS = 10.0
_started: list[subprocess.Popen[bytes]] = []
"""Our children, so that a dead one is waited for and does not stay in the process table."""


@dataclass(frozen=True)
class Status:
    """Whether a supervisor lives, its pid, and since when (seconds since the epoch)."""

    alive: bool
    pid: int | None = None
    since: float | None = None
    heartbeat: float | None = None


def read_card(home: Path) -> Identity | None:
    """Who the workspace's last supervisor was."""
    return Identity.from_json(read_json(home / CARD))


def status(home: Path) -> Status:
    """Whether the supervisor of the workspace lives now."""
    card = read_json(home / CARD) or {}
    who = Identity.from_json(card)
    if who is None or not processes.alive(who):
        return Status(alive=False)
    since, beat = card.get("started_at"), card.get("heartbeat")
    return Status(
        alive=True,
        pid=who.pid,
        since=since if isinstance(since, float) else None,
        heartbeat=beat if isinstance(beat, float) else None,
    )


def is_alive(home: Path) -> bool:
    return status(home).alive


def ensure(home: Path) -> bool:
    """Start a supervisor unless one lives; True when it was started. It outlives the caller. Raises Problem."""
    if is_alive(home):
        return False
    home.mkdir(parents=True, exist_ok=True)
    process = _start(home)
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        who = read_card(home)
        if who is not None and processes.alive(who):
            return who.pid == process.pid
        code = process.poll()
        if code is not None and code != ALREADY:
            raise Problem(
                "The supervisor, which runs the jobs, ended at once: {reason} Its log is {log}.",
                reason=_last_line(home) or f"exit code {code}.",
                log=str(home / LOG),
            )
        if code == ALREADY:  # it may have been about to end
            time.sleep(0.2)
            process = process if is_alive(home) else _start(home)
        time.sleep(0.02)
    raise Problem(
        "The supervisor, which runs the jobs, is not ready after {seconds:g} seconds: look into {log}, then try again.",
        seconds=START_SECONDS,
        log=str(home / LOG),
    )


def stop(home: Path) -> bool:
    """End the supervisor and wait for that; running jobs go on. False when none lives; raises Problem if it stays."""
    who = read_card(home)
    if who is None or not processes.alive(who):
        return False
    processes.kill([who.pid], signal.SIGTERM)
    deadline = monotonic() + STOP_SECONDS
    while processes.alive(who):
        if monotonic() > deadline:
            raise Problem(
                "The supervisor (pid {pid}) does not end: look into {log}, or kill it; running jobs are not touched.",
                pid=who.pid,
                log=str(home / LOG),
            )
        time.sleep(0.02)
    return True


def _start(home: Path) -> subprocess.Popen[bytes]:
    path = python_path(os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": path, "PLATFORM_HOME": str(home)}
    with (home / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "runners.supervisor", "--home", str(home)],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started[:] = [earlier for earlier in _started if earlier.poll() is None] + [process]
    return process


def _last_line(home: Path) -> str:
    try:
        lines = (home / LOG).read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""

"""The trainer's processes: started in a session of their own, watched, told of a wish, and gone when this returns."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from threading import Thread

from platform_core.jobs import processes
from platform_core.verl.command import Command
from platform_core.verl.setup import Setup
from runners.engines.verl.failures import failure
from runners.engines.verl.stepping import FOLDER
from runners.job import Run, Stopped
from runners.report import Report

POLL_SECONDS = 0.2
LINES_KEPT = 400
GONE_SECONDS = 10.0
MARK = "LATHE_VERL_TOKEN"


def run_trainer(command: Command, run: Run, report: Report, setup: Setup, look: Callable[[bool], None]) -> bool:
    """Run the command to its end; True when a wish ended it. Raises Problem when it fails, Stopped before any step.

    `look(ended)` is called again and again, and once more when nothing more will come.
    """
    token = f"{run.id}.{run.attempt}.{secrets.token_hex(4)}"
    environment = {**os.environ, **command.environment, FOLDER: str(setup.run), MARK: token}
    if command.environment.get("RAY_AUTH_MODE") == "token":
        environment["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    last: deque[str] = deque(maxlen=LINES_KEPT)
    child = subprocess.Popen(
        command.arguments,
        env=environment,
        cwd=setup.run,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    leader = processes.identity(child.pid)
    pump = Thread(target=_pass_on, args=(child, last), name="trainer output", daemon=True)
    pump.start()
    try:
        while child.poll() is None:
            look(False)
            if report.wish is not None and not setup.wish_file.exists():
                if report.last_step <= (setup.resume or 0):
                    raise Stopped  # it is still starting: there is nothing new to save
                setup.wish_file.write_text(report.wish)
            time.sleep(POLL_SECONDS)
    finally:
        end_all(child, leader, f"{MARK}={token}")
        pump.join(GONE_SECONDS)
        shutil.rmtree(setup.ray_folder, ignore_errors=True)
    look(True)
    if child.returncode:
        raise failure(list(last), child.returncode)
    return (setup.run / "stopped").exists()


def end_all(child: subprocess.Popen[bytes], leader: processes.Identity | None, token: str) -> None:
    """End what is left of the trainer, Ray's processes among them, which lead sessions of their own: by our token."""
    deadline = time.monotonic() + GONE_SECONDS
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(GONE_SECONDS / 2)
        except subprocess.TimeoutExpired:
            pass
    while leader is not None and time.monotonic() < deadline:
        left = [pid for pid in processes.members(leader, token) if processes.identity(pid) is not None]
        if not left:
            break
        processes.kill(left, signal.SIGKILL)
        time.sleep(0.05)
    child.wait()


def _pass_on(child: subprocess.Popen[bytes], last: deque[str]) -> None:
    """The trainer's output into the job's log, the last lines kept to explain a failure."""
    assert child.stdout is not None
    for line in child.stdout:
        text = line.decode(errors="replace")
        last.append(text.rstrip())
        sys.stderr.write(text)
        sys.stderr.flush()

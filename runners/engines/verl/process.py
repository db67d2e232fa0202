"""The trainer's processes: started in a session of their own, watched, told of a wish, and gone when this returns."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from platform_core.errors import Problem
from platform_core.jobs import processes
from platform_core.verl.command import Command
from platform_core.verl.setup import Setup
from runners.engines.verl.stepping import FOLDER
from runners.job import Run, Stopped
from runners.report import Report

POLL_SECONDS = 0.2
LINES_KEPT = 400
GONE_SECONDS = 10.0
MARK = "LATHE_VERL"


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
        if "--rdzv-backend=c10d" not in command.program:
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


CLUSTER_DIED = re.compile(
    r"(its|The|the) (worker process|node|actor|owner)[^.]{0,40} (has )?died|NodeDiedError|LocalRayletDiedError|"
    r"raylet.{0,60}(died|exited|killed)|GCS.{0,60}(died|unavailable|not reachable|failed)|node was marked dead",
)
PORT_TAKEN = re.compile(r"[Aa]ddress already in use|Failed to bind|port .{0,20}(is already|in use)|EADDRINUSE")
MISSING = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'")
MEMORY = re.compile(r"OutOfMemoryError|out of memory|MemoryError|Cannot allocate memory|OOM")
DISK = re.compile(r"No space left on device|Disk quota exceeded")
NO_CLUSTER = re.compile(
    r"Could not find any running Ray instance|Failed to connect to the Ray cluster|ConnectionError: Could not"
)
RESOURCES = re.compile(r"Total available GPUs (\S+) is less than total desired GPUs (\S+)")
ERROR = re.compile(
    r"^(?:\S*(?:Error|Exception|Problem)\b[:(]).*|.*\b(?:AssertionError|ValueError|RuntimeError|KeyError)\b:?.*"
)


def failure(lines: list[str], code: int) -> Problem:
    """The sentence for a trainer that failed, from the end of what it wrote."""
    text = "\n".join(lines)
    if found := MISSING.search(text):
        return Problem(
            "The interpreter of this job has no {package}: install it there, or choose another environment.",
            fields=("environment",),
            package=found[1],
        )
    if DISK.search(text):
        return Problem(
            "No space left on the disk: free some, then start the job again; it goes on from its checkpoint."
        )
    if PORT_TAKEN.search(text):
        return Problem(
            "Ray could not start: a port that it needs is taken by another program. Start the job again; if it "
            "repeats, end the other Ray on this machine or give its address as Ray cluster."
        )
    if NO_CLUSTER.search(text):
        return Problem(
            "The Ray cluster does not answer at its address: start it, or leave the address empty for a Ray of the "
            "job's own.",
            fields=("ray_address",),
        )
    if found := RESOURCES.search(text):
        return Problem(
            "The Ray cluster has {there} GPUs, the job asks for {asked}: take fewer GPUs or nodes.",
            fields=("gpus", "nodes"),
            there=found[1],
            asked=found[2],
        )
    if MEMORY.search(text):
        return Problem(
            "Memory ran out in a process of verl: take a smaller batch, less memory for rollouts, or offload weights "
            "and optimizer."
        )
    if CLUSTER_DIED.search(text):
        return Problem(
            "Ray or one of its workers died while the job ran: start the job again, it goes on from its last "
            "checkpoint. The log says which process it was."
        )
    line = next((line for line in reversed(lines) if ERROR.match(line.strip())), lines[-1] if lines else "")
    return Problem(
        "verl ended with exit code {code}: {line}. The log has the details.", code=code, line=line.strip()[:300]
    )


def free_of_links(folder: Path) -> None:
    """Remove what an earlier run of the same attempt left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

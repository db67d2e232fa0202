"""The warm parent: a process that has the heavy libraries loaded and forks keepers with runners from itself.

Started by the supervisor with one end of a socket; ends when the other end closes. One JSON object a line:
`{"ready": true, …}` once; then for each `{"folder", "attempt", "program", "environment"}`
a `{"folder", "attempt", "pid"}`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from platform_core.clock import monotonic
from runners.attempt import Attempt
from runners.keeper import keep
from runners.untouched import forks_have_cuda

ROOM = "LATHE_ATTEMPT=" + "." * 80
"""What the warm parent's environment holds, to be written over in its forks."""
CUDA_BEGUN = 3
"""Exit code of a warm parent whose forks could not use a GPU."""


def serve(line: socket.socket, what: str) -> None:
    """Load the libraries, then fork for each request until the supervisor is gone."""
    began, used = monotonic(), time.process_time()
    preload(what)
    if not forks_have_cuda():
        print("warm parent: a library that it imported has begun CUDA", file=sys.stderr, flush=True)
        os._exit(CUDA_BEGUN)
    gc.collect()
    gc.freeze()  # so that a collection in a fork does not copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no parent
    ready = {
        "ready": True,
        "seconds": round(monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "threads": threads(),
    }
    _say(line, ready)
    with line.makefile("rb") as requests:
        for request in requests:
            asked = json.loads(request)
            pid = os.fork()
            if pid == 0:
                _be_keeper(asked, line)
            _say(line, {"folder": asked["folder"], "attempt": asked["attempt"], "pid": pid})


def preload(what: str) -> None:
    """Import what runners import, or only our own `frame`; what can't be imported fails in the runner that needs it."""
    try:
        programs = importlib.import_module("runners.programs")
        if what == "all":
            programs.preload()
    except Exception as error:
        print(f"warm parent: preloading ended early: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def threads() -> int:
    """Threads of this process; a fork of more than one may hang on a lock that another thread held."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _be_keeper(asked: dict[str, Any], line: socket.socket) -> NoReturn:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        attempt = Attempt(Path(asked["folder"]), int(asked["attempt"]))
        _take_over_files(attempt.log, line)
        os.environ.clear()
        os.environ.update(asked["environment"])
        mark(attempt.token)
        os.chdir(attempt.job_folder)
        sys.argv = [f"runners/programs/{asked['program']}.py", str(attempt.job_folder)]
        code = keep(attempt, lambda: _run(asked["program"], attempt.job_folder))
    except BaseException as error:
        print(f"The keeper broke with {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def mark(token: str) -> None:
    """Put `token` into `/proc/PID/environ` of this process and its forks: by it an orphan of a dead keeper is found.

    What a fork sets later does not show there; so the warm parent is started with room for it, `ROOM`.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        begun_with = Path("/proc/self/environ").read_bytes()
        place = begun_with.index(ROOM.encode())
        # field 50 of proc_pid_stat(5): where the environment begins; the fields behind the name begin with the third
        began_at = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[47])
        ctypes.memmove(began_at + place, token.encode().ljust(len(ROOM), b"\0"), len(ROOM))


def _take_over_files(log: Path, line: socket.socket) -> None:
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    os.close(line.detach())
    os.close(nothing)
    os.close(output)


def _run(program: str, folder: Path) -> int:
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    code = importlib.import_module(f"runners.programs.{program}").main(folder)
    return int(code)


def _say(line: socket.socket, message: dict[str, object]) -> None:
    line.sendall(json.dumps(message).encode() + b"\n")


def main() -> int:
    """`python -m runners.warm --line FD --preload all|frame`."""
    parser = argparse.ArgumentParser(prog="runners.warm")
    parser.add_argument("--line", type=int, required=True)
    parser.add_argument("--preload", choices=["all", "frame"], default="all")
    given = parser.parse_args()
    with socket.socket(fileno=given.line) as line:
        try:
            serve(line, given.preload)
        except (BrokenPipeError, ConnectionResetError):
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The small parent of a runner: begins it once, waits for it, clears up behind it and writes down how it ended.

It outlives supervisor, web server and warm parent, and needs none of them.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from platform_core.clock import monotonic
from platform_core.jobs import processes
from platform_core.jobs.outcome import Exit
from platform_core.jobs.processes import Identity
from runners.attempt import Attempt, Processes

PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 15, 36
IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TAKEN, NEVER_RELEASED = 3, 70
"""Exit codes: the attempt was claimed by somebody else; the keeper died before it let the runner go."""
CLEAR_UP_SECONDS = 10.0
OOM_SCORE = "300"


def keep(attempt: Attempt, work: Callable[[], int]) -> int:
    """Run `work` in a process of its own, in a session of its own, and stay until nothing of it is left."""
    if attempt.claimed():
        return TAKEN
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _prctl(PR_SET_NAME, b"lathe-keeper")
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    killed_before = processes.out_of_memory_kills()
    attempt.reserve_exit()
    waiting, release = os.pipe()
    runner_pid = os.fork()
    if runner_pid == 0:
        os.close(release)
        _be_runner(waiting, work)
    os.close(waiting)
    runner = processes.identity(runner_pid)
    if runner is None:
        return NEVER_RELEASED
    try:
        attempt.write_processes(Processes(processes.me(), runner))
        begins = attempt.take_claim()
    except OSError:
        os.kill(runner_pid, signal.SIGKILL)
        raise
    if not begins:
        os.kill(runner_pid, signal.SIGKILL)
        return TAKEN
    with contextlib.suppress(BrokenPipeError):  # it was killed that early: waiting tells
        os.write(release, b"1")
    os.close(release)
    status = _wait_for(runner_pid)
    _clear_up(runner, attempt.token)
    ended = _exit(status, runner, killed_before)
    with contextlib.suppress(FileNotFoundError):  # the job's folder was deleted
        attempt.write_exit(ended)
    return 0


def _be_runner(waiting: int, work: Callable[[], int]) -> NoReturn:
    code = 1
    try:
        os.setsid()
        for number in (*IGNORED, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _prctl(PR_SET_NAME, b"lathe-runner")
        with contextlib.suppress(OSError):  # when memory runs out, the runner goes before the web server and the rest
            Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
        if os.read(waiting, 1) != b"1":
            os._exit(NEVER_RELEASED)
        os.close(waiting)
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait_for(runner_pid: int) -> int:
    # orphans of the runner come to us, the nearest subreaper: they are waited for as well
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == runner_pid:
            return status


def _clear_up(runner: Identity, token: str) -> None:
    deadline = monotonic() + CLEAR_UP_SECONDS
    while monotonic() < deadline:
        left = set(processes.members(runner, token)) | processes.descendants(os.getpid(), processes.table())
        left = {pid for pid in left if processes.identity(pid) is not None}
        processes.kill(sorted(left))
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not left:
            return
        time.sleep(0.01)


def _exit(status: int, runner: Identity, killed_before: int | None) -> Exit:
    code, number = os.waitstatus_to_exitcode(status), None
    if code >= 0:
        return Exit(code=code)
    number = -code
    killed_now = processes.out_of_memory_kills()
    counted = killed_before is not None and killed_now is not None and killed_now > killed_before
    starved = number == signal.SIGKILL and (counted or processes.in_kernel_log(runner))
    return Exit(signal=number, out_of_memory=starved)


def _prctl(option: int, value: int | bytes) -> None:
    # Linux only, and only a help: without it, an orphan that left the session is found by its environment
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(arguments: list[str] | None = None) -> int:
    """`python -m runners.keeper --folder JOB --attempt N --program NAME`: the start of a runner from nothing."""
    parser = argparse.ArgumentParser(prog="runners.keeper")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--interpreter", default=sys.executable, help="the Python that runs the program")
    given = parser.parse_args(arguments)
    command = [given.interpreter, "-P", "-m", f"runners.programs.{given.program}", str(given.folder)]
    return keep(Attempt(given.folder, given.attempt), lambda: os.execv(command[0], command))


if __name__ == "__main__":
    sys.exit(main())

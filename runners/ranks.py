"""Several processes that train together: started, told of wishes, and ended together.

The launcher starts one process a rank with what torch.distributed wants in its environment, passes the signals of a
wish on to rank 0, and ends all when one fails, so that none waits for ever for a partner that is gone. Rank 0 alone
reports and saves; its frame (`runners.job`) writes the job's result.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from platform_core.algorithms.parallel import ParallelSpec, accelerate_config, environment
from platform_core.clock import monotonic
from platform_core.root import ROOT

log = logging.getLogger("lathe.runner")
WISHES = (signal.SIGTERM, signal.SIGUSR1)
POLL_SECONDS = 0.1
GRACE_SECONDS = 10.0
"""What the others get to end by themselves after one has failed: rank 0 may be writing the reason."""


def rank() -> int:
    """Which of the processes that train together this one is."""
    return int(os.environ.get("RANK", "0"))


def is_rank() -> bool:
    """Whether this process was started as one of several."""
    return "RANK" in os.environ


def launch(program: str, folder: Path, spec: ParallelSpec, threads: int) -> int:
    """Run `runners.programs.<program>` once a rank; the exit code of the first that failed, 0 when none did.

    Where a signal ended one, this process dies of the same, so that the cause is judged as that of any runner.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    config = accelerate_config(spec, getattr(spec, "dtype", "") == "bfloat16")
    shared = {
        **os.environ,
        **environment(config),
        "WORLD_SIZE": str(spec.processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": str(max(1, threads // spec.processes)),
    }
    command = [sys.executable, "-m", f"runners.programs.{program}", str(folder)]
    signal.pthread_sigmask(signal.SIG_BLOCK, WISHES)  # in a rank, until its report listens: a wish may come before
    started = [
        subprocess.Popen(command, env={**shared, "RANK": str(n), "LOCAL_RANK": str(n)}, cwd=ROOT)
        for n in range(spec.processes)
    ]

    def pass_on(number: int, frame: FrameType | None) -> None:
        if started[0].poll() is None:
            started[0].send_signal(number)  # the others do what rank 0 says

    for number in WISHES:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WISHES)
    try:
        code = _wait(started)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
    if code < 0:
        (folder / "result.json").unlink(missing_ok=True)  # what rank 0 says of it: that its partner is gone
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _wait(started: list[subprocess.Popen[bytes]]) -> int:
    """The exit code when all have ended, or some time after the first failure: a signal rather than what it led to."""
    until = None
    while any(process.poll() is None for process in started):
        if until is None and any(process.returncode for process in started):
            until = monotonic() + GRACE_SECONDS
        if until is not None and monotonic() > until:
            break
        time.sleep(POLL_SECONDS)
    failed = {n: process.returncode for n, process in enumerate(started) if process.returncode}
    if failed:
        log.error("of %d processes %s ended with %s: all are ended", len(started), list(failed), list(failed.values()))
    return min(failed.values(), default=0)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

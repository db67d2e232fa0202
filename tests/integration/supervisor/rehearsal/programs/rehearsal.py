"""Runs a rehearsal. It notes in `twice` when another process does the same job at the same time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event

from platform_core.errors import Problem
from runners.engines.hf import checkpoint
from runners.job import Run, Stopped, run_job
from runners.report import Report

PIECES = 20
SAYING = b"the quick brown fox jumps over the lazy dog 123456"


def work(run: Run, report: Report) -> dict[str, object]:
    spec = run.spec
    alone = (run.folder / "alone").open("w")
    try:
        fcntl.lockf(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        (run.folder / "twice").touch()
    if spec.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number in range(spec.children):
        subprocess.Popen(["sleep", "600"], start_new_session=number % 2 == 1)
    for _ in range(spec.daemons):
        subprocess.run(["sh", "-c", "setsid sleep 600 & exec true"], check=True)
    for _ in range(spec.forks):
        let_go()
    run.checkpoints.mkdir(exist_ok=True)
    whole = checkpoint.last_whole(run.checkpoints)
    begin = int(whole.name.removeprefix("step-")) if whole else 0
    if begin:
        report.resume_at(begin)
    for step in range(begin + 1, spec.steps + 1):
        Event().wait(spec.step_seconds)
        speak(step, spec.log_mib)
        report.metrics(step, {"loss": 1 / step, "worst": float("nan")})
        report.progress(step, spec.steps)
        if report.wish or step % spec.save_every == 0:
            report.must_store()
            save(run, step)
        if report.wish:
            raise Stopped
    end(spec.end)
    for number in range(PIECES):
        (run.output / f"piece-{number}.json").write_text(json.dumps({"job": run.id, "number": number}))
    return {"loss": 1 / spec.steps}


def let_go() -> None:
    """Double-fork a daemon in a session of its own that goes on with our memory and environment."""
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    os.setsid()
    if not os.fork():
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        signal.pause()
    os._exit(0)


def speak(step: int, mebibytes: float) -> None:
    """Numbered lines of 64 bytes, straight into the log; a full disk loses them, as `logging` does."""
    count = int(mebibytes * 2**14)
    first = (step - 1) * count
    with suppress(OSError):
        os.write(2, b"".join(b"%012d %s\n" % (first + n, SAYING) for n in range(count)))


def save(run: Run, step: int) -> None:
    part = run.checkpoints / f".step-{step}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for number in range(PIECES):
        (part / f"piece-{number}.bin").write_bytes(os.urandom(4096))
    checkpoint.complete(part, run.checkpoints, step, keep=2)


def end(how: str) -> None:
    if how == "error":
        raise Problem("The rehearsal of {what} failed: try another.", what="errors")
    if how == "exit":
        print("CustomError: the lamp fell down", file=sys.stderr, flush=True)
        os._exit(7)
    if how == "no_result":
        os._exit(0)
    if how in ("segfault", "kill"):
        signal.raise_signal(signal.SIGSEGV if how == "segfault" else signal.SIGKILL)


def main(folder: Path) -> int:
    return run_job(folder, work)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

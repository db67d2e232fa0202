"""Lines that stay in place while they change on a terminal, and become a plain record of changes elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from threading import Event
from typing import TextIO

from app.commands.options import steps
from app.commands.printing import cut, duration, is_terminal, plain, significant
from platform_core.clock import monotonic
from platform_core.errors import Problem
from platform_core.jobs import service, supervision
from platform_core.jobs.progress import headline, seconds_left
from platform_core.jobs.states import ENDED
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

POLL_SECONDS = 0.5
RECORD_SECONDS = 5.0
"""Where there is no terminal, progress between two changes of state is told this often."""
ENSURE_SECONDS = 5.0


class Live:
    """A block of lines on `stream`, drawn over itself."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.in_place = is_terminal(self.stream)
        self._drawn = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Replace the block by `lines`; lines wider than the terminal are cut, or the next drawing would miss them."""
        columns, rows = shutil.get_terminal_size()
        shown = [cut(line, columns - 1) if "\x1b" not in line else line for line in lines[: rows - 1]]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self.stream.write(up + "".join(f"\r\x1b[2K{line}\n" for line in shown) + "\x1b[0J")
        self.stream.flush()
        self._drawn = len(shown)

    def record(self, line: str) -> None:
        """Print one line that stays."""
        self.stream.write(line + "\n")
        self.stream.flush()


def watch(
    workspace: Workspace, ids: Sequence[str], draw: Callable[[list[Job]], None], live: Live, labels: dict[str, str]
) -> list[Job]:
    """Show jobs until all have ended or paused, and return them: by `draw` on a terminal, as lines elsewhere.

    Sees to it that a supervisor is alive, so that a killed one does not leave the jobs waiting for ever.
    """
    told: dict[str, tuple[str, float, int | None]] = {}
    ensured = monotonic()
    pause = Event()
    while True:
        jobs = [service.get(workspace, job_id) for job_id in ids]
        for job in jobs:
            if job.deleted_at is not None:
                raise Problem("“{name}” was deleted while it was followed.", name=job.name)
        if live.in_place:
            draw(jobs)
        else:
            for job in jobs:
                _record(job, labels[job.id], told, live)
        if all(j.state in (*ENDED, "paused") for j in jobs):
            return jobs
        if monotonic() - ensured > ENSURE_SECONDS:
            supervision.ensure(workspace.home)
            ensured = monotonic()
        pause.wait(POLL_SECONDS)


def progress_line(label: str, job: Job) -> str:
    """ "sft  running  step 120/400  loss 0.41  12 s left"."""
    metric, left = headline(job), seconds_left(job)
    parts = [plain(label), job.state]
    if steps(job):
        parts.append(f"step {steps(job)}")
    if metric is not None:
        parts.append(f"{plain(metric[0])} {significant(metric[1])}")
    if left is not None:
        parts.append(f"{duration(left)} left")
    phase = job.progress.get("phase")
    if job.state in ("starting", "running") and phase and phase != "running":
        parts.append(plain(phase))
    return "  ".join(parts)


def _record(job: Job, label: str, told: dict[str, tuple[str, float, int | None]], live: Live) -> None:
    state, at, step = told.get(job.id, ("", 0.0, None))
    if job.state == state and (job.step == step or monotonic() - at < RECORD_SECONDS):
        return
    if not (state == "" and job.state in ("pending", "queued")):
        live.record(progress_line(label, job))
    told[job.id] = (job.state, monotonic(), job.step)


def follow(workspace: Workspace, job: Job, stream: TextIO | None = None) -> tuple[Job, int]:
    """Show one job until it ends; the job and the exit code: 0 completed, 1 failed, 3 stopped or paused."""
    live = Live(stream)

    def draw(jobs: list[Job]) -> None:
        live.draw([progress_line(jobs[0].name, jobs[0])])

    ended = watch(workspace, [job.id], draw, live, {job.id: job.name})[0]
    return ended, {"completed": 0, "failed": 1}.get(ended.state, 3)

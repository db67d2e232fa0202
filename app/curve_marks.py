"""What happened to a run, as thin lines in its curves: paused, resumed, tried again, saved, evaluated, alerted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from app.curve_axes import Ruler, placed
from app.format import number
from app.live_chart import Sign
from app.words import _, say
from platform_core.alerts import service as alerts
from platform_core.errors import Text, text
from platform_core.jobs import service as jobs
from platform_core.jobs.store import Job
from platform_core.metrics.marks import Kind, Mark, bounded, told
from platform_core.metrics.reader import Reader
from platform_core.workspace.service import Workspace

GLYPHS: dict[Kind, str] = {
    "paused": "‖",
    "resumed": "▸",
    "retried": "↻",
    "checkpoint": "",
    "evaluated": "✓",
    "alert": "!",
}
WORDS: dict[Kind, Text] = {
    "paused": text("paused"),
    "resumed": text("resumed"),
    "retried": text("tried again after a failure"),
    "checkpoint": text("checkpoint saved"),
    "evaluated": text("evaluated"),
    "alert": text("alert"),
}


def marks_of(workspace: Workspace, job: Job, run: Reader) -> list[Mark]:
    """All marks of a job, from what its run told, its history, its alerts, and the evaluations of what it made."""
    attempts, transitions = jobs.history(workspace, job.id)
    after_failure = [b.number for a, b in pairwise(attempts) if a.outcome == "failed"]
    found = told(run, after_failure)
    for change in transitions:
        step = None if change.reason is None else change.reason.values.get("step")
        if change.to_state == "paused" and isinstance(step, int):
            found.append(Mark("paused", step))
    found += [
        Mark("alert", alert.step, about=say(alert.what))
        for alert in alerts.of_job(workspace, job.id)
        if alert.step is not None and not alert.muted
    ]
    last = job.step
    if last is not None:
        made = f"job:{job.id}"
        evaluations = jobs.list_jobs(workspace, kinds=["evaluate"], limit=200)
        found += [Mark("evaluated", last, about=e.name) for e in evaluations if str(e.spec.get("model", "")) == made]
    return bounded(found)


def signs(marks: Sequence[Mark], ruler: Ruler | None) -> list[Sign]:
    """Marks where they lie on the x axis."""

    def place(step: int) -> float:
        return float(step) if ruler is None else float(placed(np.array([step]), ruler)[0])

    return [
        Sign(
            place(mark.step), GLYPHS[mark.kind], words(mark), None if mark.until is None else place(mark.until),
            mark.kind == "checkpoint",
        )
        for mark in marks
    ]  # fmt: skip


def words(mark: Mark) -> str:
    """What a mark says on hover."""
    said = _("Step {step}: {what}", step=number(mark.step), what=say(WORDS[mark.kind]))
    if mark.until is not None:
        again = _("steps {first} to {last} ran again", first=number(mark.step + 1), last=number(mark.until))
        said = f"{said}; {again}"
    return f"{said} · {mark.about}" if mark.about else said


def legend(marks: Sequence[Mark]) -> str:
    """What the glyphs that are there mean, in one line."""
    kinds = dict.fromkeys(mark.kind for mark in marks)
    parts = [f"{GLYPHS[kind] or '┊'} {say(WORDS[kind])}" for kind in kinds]
    if any(mark.until is not None for mark in marks):
        parts.append(f"▒ {_('steps that ran again')}")
    return " · ".join(parts)

"""Jobs as rows of a table: name, state, progress, time, sparkline, main metric, age."""

from __future__ import annotations

from collections.abc import Sequence

from app.curves import colour_of
from app.format import ago, duration, moment, number
from app.job_status import steps
from app.metric_words import title
from app.state import LOOKS, as_cell, since
from app.table import Cell, Column, Row, words
from app.words import _
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.jobs.states import ACTIVE
from platform_core.jobs.store import Job


def job_columns() -> list[Column]:
    """The columns of `job_row`."""
    return [
        Column("name", _("Job"), "link", "name"),
        Column("state", _("State"), "state"),
        Column("progress", _("Progress"), "progress"),
        Column("time", _("Time"), kind="time"),
        Column("spark", "", "spark"),
        Column("value", _("Main metric"), kind="value"),
        Column("age", _("Made"), kind="time"),
    ]


def job_row(job: Job) -> Row:
    """One job; every text of a person goes in as plain text."""
    kind = algorithms().get(job.kind)
    return Row(
        job.id,
        {
            "name": {
                "text": job.name,
                "href": f"monitor?job={job.id}",
                "id": job.id,
                "small": f"{_(kind.title) if kind is not None else job.kind} · {job.id}",
            },
            "state": {**as_cell(job.state), "small": since(job), "exact": moment(job.since)},
            "progress": progress(job),
            "time": time(job),
            "spark": {"values": job.sparkline, "colour": colour_of(job.id)},
            "value": value(job),
            "age": words(ago(now() - job.created_at), exact=moment(job.created_at)),
        },
        _("Choose {name}", name=job.name),
    )


def progress(job: Job) -> Cell:
    """Steps with a bar; no bar once it is completed."""
    if job.step is None:
        return None
    total = job.total_steps
    share = min(job.step / total, 1.0) if total and job.state != "completed" else None
    return {"text": steps(job.progress), "share": share, "colour": LOOKS[job.state].colour}


def time(job: Job) -> Cell:
    """What is left while it runs, how long it took afterwards."""
    left = job.progress.get("eta_seconds")
    if job.state in ACTIVE and isinstance(left, int | float):
        told = job.progress.get("updated_at")
        gone = now() - told if isinstance(told, int | float) else 0.0
        return words(_("about {time} left", time=duration(max(left - gone, 0.0))))
    if job.started_at is None:
        return None
    return words(duration((job.finished_at or now()) - job.started_at))


def value(job: Job) -> Cell:
    """The metric that matters most, its newest value."""
    found = headline(job)
    return None if found is None else words(number(found[1]), title(found[0]))


def headline(job: Job) -> tuple[str, float] | None:
    """The first metric of the job's kind that has a value, from its result or from its run."""
    kind = algorithms().get(job.kind)
    result = job.result.get("metrics") or {}
    for name in kind.metrics if kind is not None else ():
        newest = result.get(name, job.latest.get(name))
        if isinstance(newest, int | float) and not isinstance(newest, bool):
            return name, float(newest)
    return None


def names(jobs: Sequence[Job]) -> str:
    """The names of a few jobs."""
    return ", ".join(f"“{job.name}”" for job in jobs[:3]) + (" …" if len(jobs) > 3 else "")

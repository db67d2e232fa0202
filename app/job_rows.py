"""Jobs as rows of a table: name, state, progress, time, sparkline, main metric, age."""

from __future__ import annotations

from app.format import ago, duration, moment
from app.job_status import steps
from app.metric_words import title
from app.results import value_text
from app.state import LOOKS, as_cell, kind_title, since
from app.table import Cell, Column, Row, words
from app.words import _
from platform_core.clock import now
from platform_core.evaluation.scores import Score
from platform_core.jobs.looks import colour_of
from platform_core.jobs.progress import headline, seconds_left, seconds_taken
from platform_core.jobs.store import Job

STAR = Column("star", "", "star", "star")
"""The column of stars, for tables in which they can be pressed."""


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
    return Row(
        job.id,
        {
            "star": {
                "id": job.id,
                "on": job.starred,
                "label": _("Take the star off {name}", name=job.name)
                if job.starred
                else _("Put a star on {name}", name=job.name),
            },
            "name": {
                "text": job.name,
                "href": f"monitor?job={job.id}",
                "id": job.id,
                "small": " · ".join([kind_title(job.kind), job.id, *job.tags]),
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
    left, taken = seconds_left(job), seconds_taken(job)
    if left is not None:
        return words(_("about {time} left", time=duration(left)))
    return None if taken is None else words(duration(taken))


def value(job: Job) -> Cell:
    """The metric that matters most, its newest value."""
    found = headline(job)
    return None if found is None else words(value_text(Score(*found)), title(found[0]))

"""How far a job is, from its row: the metric to look at first, the time it took, the time that is left."""

from __future__ import annotations

from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.jobs.store import Job


def headline(job: Job) -> tuple[str, float] | None:
    """The metric to look at first: of those that matter for the kind, the first with a value in result or run."""
    known = algorithms().get(job.kind)
    result = job.result.get("metrics") or {}
    for name in known.metrics if known else ():
        value = result.get(name, job.latest.get(name))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return name, float(value)
    return None


def seconds_left(job: Job) -> float | None:
    """Seconds until the end as the runner last forecast them, less what went by; None when not in its steps."""
    left = job.progress.get("eta_seconds")
    if job.state != "running" or job.progress.get("phase") != "running" or not isinstance(left, int | float):
        return None
    told = job.progress.get("updated_at")
    return max(0.0, left - (now() - told if isinstance(told, int | float) else 0.0))


def seconds_taken(job: Job) -> float | None:
    """Seconds that the job ran, all attempts together and up to now; None before the first."""
    return None if job.started_at is None else job.ran_seconds

"""A job that runs and does nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import median
from platform_core.durations import exact
from platform_core.errors import text

LEAST = 120.0
"""Seconds; a checkpoint, an evaluation or a busy disk takes less."""
TIMES = 20.0
"""Times the usual time between two logged points."""
PREPARING = 1800.0
"""Seconds that reading data, loading a model or tokenizing may take without a word."""
FAR = 3.0


def examine(case: Case) -> Diagnosis | None:
    """Nothing was told for 2 minutes and 20 usual steps (30 minutes before the first step); three times is critical."""
    if case.job.state != "running" or case.attempt is None:
        return None
    told = case.progress.get("updated_at")
    since = max(case.attempt.launched_at, float(told) if isinstance(told, int | float) else 0.0)
    silent = case.now - since
    stepping = case.progress.get("phase") == "running" and since > case.attempt.launched_at
    limit = max(LEAST, TIMES * _usual(case)) if stepping else PREPARING
    stopped = _stopped(case)
    if stopped:
        limit = min(limit, LEAST)
    if silent < limit:
        return None
    return Diagnosis(
        RULE.name,
        "critical" if silent > FAR * limit or stopped else "warning",
        text(
            "No progress for {time} at step {step}: the runner is stopped by a signal.",
            time=exact(silent),
            step=case.last_step,
        )
        if stopped
        else text("No progress for {time} at step {step}.", time=exact(silent), step=case.last_step),
        text(
            "It holds its cores, memory and GPUs and gives nothing for them; it may wait for something that never "
            "comes."
        ),
        None,
        case.last_step,
        Evidence(lines=tuple(case.log_lines[-3:])),
    )


def _usual(case: Case) -> float:
    """The usual seconds between two logged points, from the newest ones."""
    last = case.last_step
    _, times = case.run.times(last - 50 * case.every, last)
    return max(0.0, median(np.diff(times))) if len(times) > 2 else 0.0


def _stopped(case: Case) -> bool:
    """Whether the runner, on this host, stands still by SIGSTOP or a debugger."""
    if case.attempt is None or case.attempt.pid is None or case.attempt.host != socket.gethostname():
        return False
    try:
        stat = Path(f"/proc/{case.attempt.pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")


RULE = Rule(
    name="no_progress",
    title=text("No progress"),
    level="critical",
    explains=text(
        "A running job told nothing for 2 minutes and 20 times its usual step (before its first step: for 30 minutes). "
        "Three times as long, or a process stopped by a signal, is critical."
    ),
    suggests=text("No setting mends it: look at the log, then stop it."),
    examine=examine,
    when="live",
)

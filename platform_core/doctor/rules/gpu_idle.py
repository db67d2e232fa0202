"""GPUs that a job holds and does not use."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix
from platform_core.doctor.rule import Rule
from platform_core.errors import text

IDLE = 10.0
"""Percent of utilization; a healthy training stays above 50."""
SECONDS = 300.0
SNAPSHOTS = 5


def examine(case: Case) -> Diagnosis | None:
    """Every snapshot of the last 5 minutes shows all GPUs of the job below 10 %, while it is in its steps."""
    if case.job.state != "running" or case.progress.get("phase") != "running" or not case.gpus:
        return None
    began = case.attempt.launched_at if case.attempt else case.now
    recent = [s for s in case.history if case.now - SECONDS - 60 <= s.time and s.time >= began]
    if len(recent) < SNAPSHOTS or recent[-1].time - recent[0].time < SECONDS * 0.8:
        return None
    used = [gpu.utilization for s in recent for gpu in case.gpus_of(s)]
    if not used or any(u is None or u >= IDLE for u in used):
        return None
    busy = [max((g.utilization or 0.0 for g in case.gpus_of(s)), default=0.0) for s in recent][-60:]
    times = tuple(int(s.time - recent[-1].time) for s in recent)[-60:]
    return Diagnosis(
        RULE.name,
        "warning",
        text(
            "All GPUs of the job ({n}) have been idle for {minutes:.0f} minutes.",
            n=len(case.gpus),
            minutes=(recent[-1].time - recent[0].time) / 60,
        ),
        text("Reading or tokenizing data, a tiny batch or a hang leaves them waiting, and nobody else gets them."),
        _larger(case),
        case.last_step,
        Evidence("gpu/utilization", times, tuple(busy), IDLE),
    )


def _larger(case: Case) -> Fix | None:
    batch = case.setting("batch_size")
    if not isinstance(batch, int) or batch * 2 > 65_536 or any(g.memory_used * 2 > g.memory_total for g in case.gpus):
        return None
    return Fix(
        text("Double the batch to {batch}: over half of the GPUs' memory is free.", batch=batch * 2),
        {"batch_size": batch * 2},
    )


RULE = Rule(
    name="gpu_idle",
    title=text("GPU idle"),
    level="warning",
    explains=text("All GPUs of a job in its steps stay below 10 % of utilization for 5 minutes."),
    suggests=text("Twice the batch size, when over half of the GPU's memory is free."),
    examine=examine,
    when="live",
)

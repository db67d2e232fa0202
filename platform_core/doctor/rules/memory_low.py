"""A host whose memory is nearly used up."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence
from platform_core.doctor.fixes import smaller_batch
from platform_core.doctor.rule import Rule
from platform_core.errors import text

LOW, LAST = 0.05, 0.02
"""Share of the memory that is still available; below a few percent the kernel starts to kill."""


def examine(case: Case) -> Diagnosis | None:
    """Memory that is available without swapping: below 5 % a warning, below 2 % critical."""
    host = case.snapshot
    if host is None or not host.memory_total or host.memory_available >= LOW * host.memory_total:
        return None
    seen = [(s.time, 100 * s.memory_available / s.memory_total) for s in case.history[-60:] if s.memory_total]
    return Diagnosis(
        RULE.name,
        "critical" if host.memory_available < LAST * host.memory_total else "warning",
        text(
            "{host} has {free:.1f} of {total:.1f} GiB of memory left.",
            host=host.host,
            free=host.memory_available / 2**30,
            total=host.memory_total / 2**30,
        ),
        text("When none is left the kernel kills a process, and often the largest one is a training."),
        smaller_batch(case),
        None,
        Evidence("memory/available", tuple(int(t - case.now) for t, _ in seen), tuple(v for _, v in seen), 100 * LOW),
    )


RULE = Rule(
    name="memory_low",
    title=text("Host nearly out of memory"),
    level="critical",
    explains=text("Below 5 % of the host's memory is available (warning), or below 2 % (critical)."),
    suggests=text("Half the batch with twice the accumulation, gradient checkpointing."),
    examine=examine,
    when="live",
    about="host",
    leads_to=("throughput",),
)

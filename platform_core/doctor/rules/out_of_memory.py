"""The machine's memory ran out, by the kernel's hand or by an allocation that failed."""

from __future__ import annotations

import re

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence
from platform_core.doctor.fixes import smaller_batch
from platform_core.doctor.rule import Rule
from platform_core.errors import text

LINE = re.compile(r"\bMemoryError\b|[Cc]annot allocate memory|DefaultCPUAllocator: (can't|not enough)")
KILL = 9


def examine(case: Case) -> Diagnosis | None:
    """The attempt's cause as its keeper saw it (the kernel counts its kills), or the words of a failed allocation."""
    if not case.failed or case.cause in ("gpu_out_of_memory", "gpu_taken"):
        return None
    lines = [line for line in case.log_lines if LINE.search(line)][-3:]
    if case.cause != "out_of_memory" and not lines:
        return None
    by_kernel = case.attempt is not None and case.attempt.signal == KILL
    return Diagnosis(
        RULE.name,
        "critical",
        text("The machine ran out of memory and its kernel killed the runner at step {step}.", step=case.last_step)
        if by_kernel
        else text("The machine's memory ran out at step {step}.", step=case.last_step),
        text("Started again as it is, it will likely end the same way."),
        smaller_batch(case),
        case.last_step,
        Evidence(lines=tuple(line[:300] for line in lines)),
    )


RULE = Rule(
    name="out_of_memory",
    title=text("Out of memory"),
    level="critical",
    explains=text(
        "An attempt failed for the machine's memory: its kernel counted an out-of-memory kill, or an allocation failed."
    ),
    suggests=text("Half the batch with twice the accumulation, gradient checkpointing; else half the sequence length."),
    examine=examine,
    when="ended",
)

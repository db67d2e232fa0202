"""The memory of a GPU ran out."""

from __future__ import annotations

import re

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix
from platform_core.doctor.fixes import smaller_batch
from platform_core.doctor.rule import Rule
from platform_core.errors import text

LINE = re.compile(r"CUDA out of memory|CUDA error: out of memory|HIP out of memory|torch\.(cuda\.)?OutOfMemoryError")


def examine(case: Case) -> Diagnosis | None:
    """The attempt's cause, or PyTorch's own words in the log of one that failed."""
    if not case.failed:
        return None
    lines = [line for line in case.log_lines if LINE.search(line)][-3:]
    if case.cause not in ("gpu_out_of_memory", "gpu_taken") and not lines:
        return None
    taken = case.cause == "gpu_taken"
    return Diagnosis(
        RULE.name,
        "critical",
        text("Another program took the GPU's memory first.") if taken else text("The GPU's memory ran out."),
        text("It would run out again at the same place.")
        if not taken
        else text("It can pass: the job is started again when that memory is free, if it may be retried."),
        Fix(text("Wait until more of it is free."), {}) if taken else smaller_batch(case),
        case.last_step,
        Evidence(lines=tuple(line[:300] for line in lines)),
    )


RULE = Rule(
    name="gpu_memory",
    title=text("GPU out of memory"),
    level="critical",
    explains=text("An attempt failed because a GPU's memory ran out, by itself or by another program."),
    suggests=text(
        "Half the batch with twice the accumulation, gradient checkpointing; when another program took it, waiting."
    ),
    examine=examine,
    when="ended",
    leads_to=("out_of_memory",),
)

"""A GPU near the heat at which it slows itself down."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence
from platform_core.doctor.rule import Rule
from platform_core.errors import text

WARM, HOT = 85.0, 92.0
"""Degrees: NVIDIA's data-centre GPUs begin to slow down between 85 and 92 and shut off a few degrees later."""


def examine(case: Case) -> Diagnosis | None:
    """The hottest GPU of the job: 85 °C is a warning, 92 °C critical."""
    known = [(gpu.temperature, gpu) for gpu in case.gpus if gpu.temperature is not None]
    if not known:
        return None
    degrees, gpu = max(known, key=lambda pair: pair[0])
    if degrees < WARM:
        return None
    seen = [(s.time, max((g.temperature or 0.0 for g in case.gpus_of(s)), default=0.0)) for s in case.history[-60:]]
    return Diagnosis(
        RULE.name,
        "critical" if degrees >= HOT else "warning",
        text("GPU {index} ({name}) is {degrees:.0f} °C hot.", index=gpu.index, name=gpu.name, degrees=degrees),
        text("It slows itself down to stay alive, and heat wears it out: look at fans, air flow and power limit."),
        None,
        None,
        Evidence("gpu/temperature", tuple(int(t - case.now) for t, _ in seen), tuple(v for _, v in seen), WARM),
    )


RULE = Rule(
    name="gpu_hot",
    title=text("GPU hot"),
    level="critical",
    explains=text("The hottest GPU of a job is at 85 °C (warning) or 92 °C (critical)."),
    suggests=text("No setting mends it: look at fans, air flow and power limit."),
    examine=examine,
    when="live",
    about="host",
    leads_to=("throughput",),
)

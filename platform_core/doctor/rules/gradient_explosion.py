"""Gradients that grow by a power of ten."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case, Series
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.doctor.fixes import lower_learning_rate
from platform_core.doctor.rule import Rule
from platform_core.doctor.rules import loss_spike
from platform_core.doctor.statistics import evidence, finite, noise
from platform_core.errors import text

BEFORE, NEWEST = 20, 5
TIMES = 10.0
"""Times the median before: gradient norms vary by 2 or 3 between batches, and by up to 5 within a warm-up."""
FAR = 100.0
SIGMAS = 6.0


def examine(case: Case) -> Diagnosis | None:
    """The median norm of 5 points in a row against that of the 20 points before, past the warm-up."""
    if "grad_norm" not in case.latest:
        return None
    steps, values = finite(case.recent("grad_norm"))
    kept = (steps > case.setting("warmup_steps", 0)) & (values > 0)
    series = Series(steps[kept], values[kept])
    if len(series.values) < BEFORE + NEWEST:
        return None
    logs = np.log(series.values)
    groups = np.median(np.lib.stride_tricks.sliding_window_view(logs, NEWEST), axis=1)[BEFORE:]
    base = np.median(np.lib.stride_tricks.sliding_window_view(logs, BEFORE), axis=1)[: len(groups)]
    rise = groups - base
    worst = int(np.argmax(rise))
    if rise[worst] < max(np.log(TIMES), SIGMAS * noise(logs[: BEFORE + worst])):
        return None
    value, before = float(np.exp(groups[worst])), float(np.exp(base[worst]))
    if value < float(case.setting("max_grad_norm", 1.0)):
        return None
    spike = loss_spike.examine(case)
    if spike is not None and spike.level != "info" and spike.step is not None:
        began = np.flatnonzero(rise > np.log(TIMES))
        if spike.step <= int(series.steps[BEFORE + began[0] + NEWEST // 2]):
            return None  # the loss went first: the gradient only follows
    step = int(series.steps[BEFORE + worst])
    return Diagnosis(
        RULE.name,
        "critical" if value > FAR * before else "warning",
        text(
            "The gradient explodes: its norm rose to {ratio:.0f} times what it was before step {step}.",
            ratio=value / before,
            step=step,
        ),
        text("Clipping bends the direction of every update then; the loss usually blows up next."),
        lower_learning_rate(case, 3.0),
        step,
        evidence("grad_norm", series, before * TIMES, BEFORE + worst),
    )


RULE = Rule(
    name="gradient_explosion",
    title=text("Gradient explosion"),
    level="critical",
    explains=text(
        "The median gradient norm of 5 points in a row is over 10 times that of the 20 before, over 6 times its "
        "noise, and above the clipping norm; over 100 times is critical."
    ),
    suggests=text("A third of the learning rate, and a warm-up where there is none."),
    examine=examine,
    leads_to=("loss_spike",),
)

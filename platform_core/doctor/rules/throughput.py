"""Steps that became much slower."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import after, evidence, finite, median, noise
from platform_core.errors import text
from platform_core.metrics.meanings import title

NAMES = ("tokens_per_second", "samples_per_second")
SHARE = 0.4
"""Of the speed before: a shared machine halves it now and then."""
BEFORE, NEWEST = 30, 15
SECONDS = 60.0
"""The newest points must span this: a hiccup is none."""
SIGMAS = 5.0


def examine(case: Case) -> Diagnosis | None:
    """Median speed of the newest 15 points, over a minute at least, against all before them in the same attempt."""
    name = next((n for n in NAMES if n in case.latest), None)
    if name is None or case.job.state != "running":
        return None
    resumed = max((e.step or 0 for e in case.events if e.kind == "resumed"), default=-1)
    series = after(finite(case.recent(name)), resumed)
    if len(series.values) < BEFORE + NEWEST or not (series.values > 0).all():
        return None
    _, times = case.run.times(int(series.steps[-NEWEST]), int(series.steps[-1]))
    logs = np.log(series.values)
    before, now = median(logs[:-NEWEST]), median(logs[-NEWEST:])
    if before - now < max(-np.log(SHARE), SIGMAS * noise(logs)) or len(times) < 2 or times[-1] - times[0] < SECONDS:
        return None
    return Diagnosis(
        RULE.name,
        "warning",
        text(
            "The training has become {times:.1f} times slower: {now:.0f} instead of {before:.0f} ({metric}).",
            times=float(np.exp(before - now)),
            now=float(np.exp(now)),
            before=float(np.exp(before)),
            metric=title(name),
        ),
        text(
            "Another program may take cores, GPU or disk, the GPU may be throttled by heat, or memory is being swapped."
        ),
        None,
        int(series.steps[-1]),
        evidence(name, series, float(np.exp(before)) * SHARE),
    )


RULE = Rule(
    name="throughput",
    title=text("Throughput drop"),
    level="warning",
    explains=text(
        "The median speed of the newest 15 points, over a minute at least, is below 40 % of that before in the same "
        "attempt, and the drop is over 5 times its noise."
    ),
    suggests=text("No setting mends it: look at what else runs on the machine."),
    examine=examine,
    when="live",
)

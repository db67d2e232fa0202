"""How long a run will still take, as a range: from its speed as a whole and its speed of late."""

from __future__ import annotations

import numpy as np

from platform_core.metrics.reader import Reader
from platform_core.metrics.schema import TIME_NAME

POINTS = 200
LATE = 0.25
"""Share of the newest points that tell the speed of late."""
SLACK = 0.1


def seconds_left(run: Reader, total_steps: int, since: float, now: float) -> tuple[float, float] | None:
    """The least and the most seconds that are left at `now`; None before there are two points after `since`.

    `since` is when the attempt began, `now` both in seconds since 1970: what an earlier attempt logged does not count.
    """
    curve = run.curve(TIME_NAME, POINTS)
    fresh = curve.minimum >= since
    steps, times = curve.steps[fresh], curve.minimum[fresh]
    if len(steps) < 2 or times[-1] <= times[0]:
        return None
    late = min(len(steps) - 2, int(len(steps) * (1 - LATE)))
    paces = [(times[-1] - times[at]) / (steps[-1] - steps[at]) for at in (0, late)]
    to_come = max(total_steps - int(steps[-1]), 0)
    waited = max(now - float(times[-1]), 0.0)
    low, high = (float(np.clip(pace * to_come - waited, 0, None)) for pace in (min(paces), max(paces)))
    return low * (1 - SLACK), high * (1 + SLACK)

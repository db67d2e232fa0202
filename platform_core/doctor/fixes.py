"""Changes of settings that several rules suggest."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Fix
from platform_core.errors import Text, text

SHARE = 10.0


def rounded(value: float) -> float:
    """A number with two significant digits."""
    return float(f"{value:.1e}")


def lower_learning_rate(case: Case, by: float = SHARE, says: Text | None = None) -> Fix | None:
    """A learning rate `by` times lower, and a warm-up when there is none; None for a job that has no learning rate."""
    rate = case.setting("learning_rate")
    if not isinstance(rate, int | float):
        return None
    lower = rounded(rate / by)
    changes: dict[str, object] = {"learning_rate": lower}
    total = case.setting("max_steps") or case.job.total_steps
    if not case.setting("warmup_steps", 0) and isinstance(total, int) and total >= 20:
        changes["warmup_steps"] = min(100, total // 20)
    return Fix(says or text("Lower the learning rate to {rate:g}.", rate=lower), changes)

"""A disk that is nearly full."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Fix
from platform_core.doctor.rule import Rule
from platform_core.errors import text

GIB = 2**30
LOW, LAST = 0.05, 0.01
LOW_BYTES, LAST_BYTES = 20 * GIB, 2 * GIB
"""Both must be short, share and bytes: 5 % of a large disk is plenty, and 20 GiB of a small one may be most of it."""


def examine(case: Case) -> Diagnosis | None:
    """Free space below 5 % and 20 GiB is a warning, below 1 % and 2 GiB critical."""
    host = case.snapshot
    if host is None or not host.disk_total or host.disk_free >= min(LOW * host.disk_total, LOW_BYTES):
        return None
    keep = case.setting("keep_checkpoints", 1)
    fix = (
        Fix(text("Keep one checkpoint only."), {"keep_checkpoints": 1}) if isinstance(keep, int) and keep > 1 else None
    )
    return Diagnosis(
        RULE.name,
        "critical" if host.disk_free < min(LAST * host.disk_total, LAST_BYTES) else "warning",
        text(
            "The disk of {host} is nearly full: {free:.1f} of {total:.0f} GiB are free.",
            host=host.host,
            free=host.disk_free / GIB,
            total=host.disk_total / GIB,
        ),
        text(
            "A full disk ends every training at its next checkpoint. Empty the trash, or delete jobs and checkpoints."
        ),
        fix,
    )


RULE = Rule(
    name="disk_low",
    title=text("Disk nearly full"),
    level="critical",
    explains=text(
        "Below 5 % and 20 GiB of the workspace's disk are free (warning), or below 1 % and 2 GiB (critical)."
    ),
    suggests=text("One checkpoint kept."),
    examine=examine,
    when="live",
    about="host",
)

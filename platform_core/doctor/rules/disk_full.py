"""An attempt that ended because the disk was full."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix
from platform_core.doctor.rule import Rule
from platform_core.errors import text
from platform_core.jobs.outcome import DISK_FULL


def examine(case: Case) -> Diagnosis | None:
    """The attempt's cause, or the system's own words in the log of one that failed."""
    if not case.failed:
        return None
    lines = [line for line in case.log_lines if DISK_FULL.search(line)][-3:]
    if case.cause != "disk_full" and (not lines or case.cause not in (None, "error")):
        return None
    keep = case.setting("keep_checkpoints", 1)
    fewer = {"keep_checkpoints": 1} if isinstance(keep, int) and keep > 1 else {}
    return Diagnosis(
        RULE.name,
        "critical",
        text("The disk was full at step {step}.", step=case.last_step),
        text("It can go on from its last whole checkpoint as soon as there is space: empty the trash, or delete jobs."),
        Fix(text("Keep one checkpoint only."), fewer) if fewer else Fix(text("Free some space, then start it again.")),
        case.last_step,
        Evidence(lines=tuple(line[:300] for line in lines)),
    )


RULE = Rule(
    name="disk_full",
    title=text("Disk full"),
    level="critical",
    explains=text("An attempt failed because there was no space left on the disk."),
    suggests=text("One checkpoint kept."),
    examine=examine,
    when="ended",
)

"""Retry by policy: which causes can pass, how long to wait, and how often.

`retries` counts from a person's last start. Progress between two retries does not reset the count: the number that a
person chose is a promise, and a job that is killed after each checkpoint would otherwise never end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from platform_core.durations import exact
from platform_core.errors import Text, text

Cause = Literal[
    "killed",  # from outside
    "out_of_memory",  # by the kernel, for the machine's memory
    "rebooted",
    "disk_full",
    "gpu_lost",  # it fell off the bus, or its driver reset it
    "gpu_taken",  # another program took its memory first
    "gpu_out_of_memory",  # by our own job alone
    "crashed",  # in native code
    "time_limit",
    "never_began",
    "deleted",  # its folder
    "error",
]
WORDS: Mapping[str, Text] = {
    "killed": text("killed from outside"),
    "out_of_memory": text("killed by the kernel for want of memory"),
    "rebooted": text("the machine went down"),
    "disk_full": text("the disk was full"),
    "gpu_lost": text("a GPU was lost"),
    "gpu_taken": text("another program took the GPU's memory"),
    "gpu_out_of_memory": text("the GPU's memory did not suffice"),
    "crashed": text("crashed in native code"),
    "time_limit": text("its time was up"),
    "never_began": text("never began"),
    "deleted": text("its folder was deleted"),
    "error": text("an error"),
}
CAN_PASS: frozenset[Cause] = frozenset(
    {"killed", "out_of_memory", "rebooted", "disk_full", "gpu_lost", "gpu_taken"}
)  # fmt: skip
LONGEST_WAIT = 3600.0


@dataclass(frozen=True)
class Retry:
    """The next start of a failed job: number `number` of `of`, after `wait` seconds."""

    number: int
    of: int
    wait: float
    reason: Text


def next_retry(cause: Cause, reason: Text | None, retries: int, retried: int, first_wait: float) -> Retry | None:
    """Whether a failed job is started again by itself: only for causes that can pass, as often as it may."""
    if cause not in CAN_PASS or retried >= retries:
        return None
    wait = wait_before(retried + 1, first_wait)
    said = text(
        "Retry {number} of {of} in {time}: {reason}",
        number=retried + 1,
        of=retries,
        time=exact(wait),
        reason=reason or text("it failed."),
    )
    return Retry(retried + 1, retries, wait, said)


def wait_before(number: int, first_wait: float) -> float:
    """Seconds before retry `number`, counted from 1: doubled each time, up to `LONGEST_WAIT`."""
    return min(first_wait * 2.0 ** min(max(number - 1, 0), 32), LONGEST_WAIT)


def exhausted(cause: Cause | None, reason: Text | None, retried: int) -> Text | None:
    """The sentence of a job that failed for good although it was retried."""
    if reason is None or not retried or cause not in CAN_PASS:
        return reason
    return text("{reason} It had been started again {n} times by itself.", reason=reason, n=retried)

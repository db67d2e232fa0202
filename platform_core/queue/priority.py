"""The five priority classes of the queue. A higher class always goes first; inside a class owners share fairly."""

from __future__ import annotations

from typing import Literal, get_args

from platform_core.errors import Problem, Text, text

Priority = Literal["urgent", "high", "normal", "low", "idle"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
TITLES: dict[Priority, Text] = {
    "urgent": text("Urgent"),
    "high": text("High"),
    "normal": text("Normal"),
    "low": text("Low"),
    "idle": text("Idle"),
}


def rank(priority: str) -> int:
    """The number that stands in the row, from 2 (urgent) to -2 (idle); raises Problem for another word."""
    if priority not in PRIORITIES:
        raise Problem(
            "There is no priority “{priority}”; the classes are {known}.",
            priority=priority,
            known=", ".join(PRIORITIES),
        )
    return 2 - PRIORITIES.index(priority)


def priority_of(rank: int) -> Priority:
    """The class of a row's number; numbers beyond the five count as the nearest."""
    return PRIORITIES[2 - max(-2, min(rank, 2))]

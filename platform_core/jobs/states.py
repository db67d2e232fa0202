"""The states of a job and which may follow which. Every change is compare-and-set (see store.change_state)."""

from __future__ import annotations

from typing import Literal

from platform_core.errors import Text

State = Literal[
    "pending", "queued", "starting", "running", "pausing", "paused", "stopping", "stopped", "completed", "failed"
]

NEXT: dict[State, tuple[State, ...]] = {
    "pending": ("queued", "stopped"),
    "queued": ("starting", "pending", "stopped", "failed"),
    "starting": ("running", "queued", "stopping", "stopped", "completed", "failed"),
    "running": ("pausing", "stopping", "stopped", "completed", "failed"),
    "pausing": ("paused", "stopping", "stopped", "completed", "failed"),
    "paused": ("queued", "stopped"),
    "stopping": ("stopped", "completed", "failed"),
    "stopped": ("queued",),
    "completed": (),
    "failed": ("queued",),
}

ACTIVE: tuple[State, ...] = ("starting", "running", "pausing", "stopping")
"""A process belongs to the job."""
LIVE: tuple[State, ...] = (*ACTIVE, "queued")
"""Changes by itself, so that whoever watches looks again."""
WAITING: tuple[State, ...] = ("pending", "queued", "paused")
ENDED: tuple[State, ...] = ("stopped", "completed", "failed")
STARTABLE: tuple[State, ...] = ("pending", "paused", "stopped", "failed")
STOPPABLE: tuple[State, ...] = ("pending", "queued", "starting", "running", "pausing", "paused")
DELETABLE: tuple[State, ...] = ("pending", "queued", "paused", "stopped", "completed", "failed")


def word(state: State) -> Text:
    """A state inside a sentence, so that it is translated with it."""
    return Text(state)  # words: states

"""What many sessions ask for in the same second is made once: everybody who watches a live run sees the same of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar, cast

T = TypeVar("T")
SECONDS = 1.0
KEPT = 10.0
"""Seconds after which what nobody asks for any more is let go."""


@dataclass
class Slot:
    """One thing that is shared; who holds the lock makes it."""

    lock: Lock = field(default_factory=Lock)
    made_at: float = float("-inf")
    value: Any = None


_slots: dict[Hashable, Slot] = {}
_slots_lock = Lock()


def shared(key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives, at most a second old; who comes while another session makes it waits and gets the same.

    `key` holds all that the result depends on but time, the language of its words, too. What `make` raises is raised,
    and the next one tries again. The result is everybody's: it must not be changed.
    """
    slot = _slot(key)
    with slot.lock:
        if time.monotonic() - slot.made_at >= SECONDS:
            began = time.monotonic()
            slot.value = make()
            slot.made_at = began
        return cast("T", slot.value)


def _slot(key: Hashable) -> Slot:
    """The slot of a key; a new one makes room by letting go of those that have grown old."""
    with _slots_lock:
        found = _slots.get(key)
        if found is None:
            oldest = time.monotonic() - KEPT
            for old in [k for k, slot in _slots.items() if slot.made_at < oldest and not slot.lock.locked()]:
                del _slots[old]
            found = _slots[key] = Slot()
        return found

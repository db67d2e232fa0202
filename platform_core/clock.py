"""The one clock. Wall time for people and rows, monotonic time for durations."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds since the epoch (UTC)."""
    return time.time()


def monotonic() -> float:
    """Seconds that never go back; only differences mean something."""
    return time.monotonic()

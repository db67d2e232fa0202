"""Durations as people read them, for the page in the reader's language, for a terminal in English."""

from __future__ import annotations

from platform_core.errors import Text, text


def exact(seconds: float) -> Text:
    """A duration in two units: "12 s", "3 min 05 s", "1 h 04 min", "2 d 3 h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return text("{s} s", s=whole)
    if whole < 3600:
        return text("{m} min {s:02d} s", m=whole // 60, s=whole % 60)
    if whole < 86_400:
        return text("{h} h {m:02d} min", h=whole // 3600, m=whole % 3600 // 60)
    return text("{d} d {h} h", d=whole // 86_400, h=whole % 86_400 // 3600)


def coarse(seconds: float) -> Text:
    """A duration in its largest unit: "45 s", "3 min", "5 h", "2 d"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return text("{s} s", s=whole)
    if whole < 3570:  # from here on it would round to 60 minutes
        return text("{m} min", m=round(whole / 60))
    if whole < 84_600:  # to 24 hours
        return text("{h} h", h=round(whole / 3600))
    return text("{d} d", d=round(whole / 86_400))


def ago(seconds: float) -> Text:
    """ "just now", "3 min ago"."""
    return text("just now") if seconds < 5 else text("{time} ago", time=coarse(seconds))

"""Numbers, durations and times as people read them, in the session's language."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st

from app.words import _, say
from platform_core import durations

UNKNOWN = "–"


def number(value: object, digits: int = 4) -> str:
    """A number in `digits` significant digits with thousands separated; anything else as its text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNKNOWN if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "NaN")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size >= 9:
        mantissa, _e, exponent = f"{value:.{max(digits - 2, 0)}e}".partition("e")
        short = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{short}e{int(exponent)}".replace("-", "−", 1 if value < 0 else 0)
    shown = f"{value:,.{max(digits - 1 - size, 0)}f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return shown.replace("-", "−")


def share(value: float) -> str:
    """A share of 1 in per cent."""
    return f"{100 * value:.1f} %"


def share_interval(low: float, high: float) -> str:
    """An interval of shares of 1 in per cent."""
    return f"{100 * low:.1f}–{100 * high:.1f} %"


def duration(seconds: float | None) -> str:
    """ "12 s", "3 min 05 s", "1 h 04 min", "2 d 3 h"."""
    return UNKNOWN if seconds is None or not math.isfinite(seconds) else say(durations.exact(seconds))


def ago(seconds: float) -> str:
    """ "just now", "3 min ago"."""
    return say(durations.ago(seconds))


def remaining(low: float, high: float) -> str:
    """A forecast with its range: "about 3 min", "3 to 5 min", "50 min to 2 h"."""
    if high < 5:
        return _("a few seconds")
    first, last = say(durations.coarse(max(low, 1))), say(durations.coarse(high))
    if first == last:
        return _("about {time}", time=last)
    (least, _space, unit), (_most, _space, other) = first.partition(" "), last.partition(" ")
    return _("{low} to {high}", low=least if unit == other and " " not in unit else first, high=last)


def moment(time: float) -> str:
    """A time in the reader's time zone, to the second."""
    return datetime.fromtimestamp(time, zone()).strftime("%Y-%m-%d %H:%M:%S")


def zone() -> tzinfo | None:
    """The time zone of the reader's browser; None, the server's own, when it is not known."""
    name = st.context.timezone
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (ValueError, OSError, LookupError):
        return None

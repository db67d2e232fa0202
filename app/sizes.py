"""Sizes and counts as people read them: 3.2 MiB, 154 k."""

from __future__ import annotations

import re


def bytes_text(n: float) -> str:
    """Bytes with a binary unit and two to three significant digits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 10 else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} TiB"


def count_text(n: float) -> str:
    """A count, whole below ten thousand, else with k, M or B and three significant digits."""
    if n < 10_000:
        return f"{n:,.0f}"
    for unit in ("k", "M", "B"):
        n /= 1000
        if n < 1000:
            return f"{n:.3g} {unit}"
    return f"{n / 1000:.3g} T"


def short(value: float) -> str:
    """A setting as people type it: 2e-5, 0.03, 1024."""
    return tidy(f"{value:g}")


def tidy(text: str) -> str:
    """A number's text without the signs and zeros that nobody types: 2e-05 is 2e-5; other texts as they are."""
    found = re.fullmatch(r"(-?[\d.]+e)([+-]?)0*(\d+)", text)
    return f"{found[1]}{found[2].removeprefix('+')}{found[3]}" if found else text


def typed(value: object) -> str:
    """A value as one types it after an option, exact."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return short(value) if float(short(value)) == value else repr(value)
    return str(value)

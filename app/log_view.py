"""A log box that follows its end unless the reader scrolled up. Text only, never markup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from platform_core.logs.lines import Line

STATIC = Path(__file__).with_name("static")

_view = st.components.v2.component(
    "lathe_log_view",
    html='<pre tabindex="0" role="log">\n</pre>',
    css=(STATIC / "log_view.css").read_text("utf-8"),
    js=(STATIC / "log_view.js").read_text("utf-8"),
)


def log_view(
    lines: Sequence[Line],
    stamp: str,
    *,
    key: str,
    empty: str = "",
    height: int = 430,
    place: str = "",
    from_top: bool = False,
) -> None:
    """Show lines, each in the colour of its level, and what was searched for in them marked.

    Nothing is drawn anew while `stamp` stays; with another `place` it is scrolled to the end, or to the beginning.
    """
    data = {
        "lines": [_row(line) for line in lines],
        "stamp": stamp,
        "empty": empty,
        "height": height,
        "place": place,
        "fromTop": from_top,
    }
    _view(key=key, data=data, height=height)


def _row(line: Line) -> list[object]:
    """Level, the text before, in and behind what was found, and what kind of line it is."""
    start, end = line.found or (0, 0)
    kind = ("beside " if line.context else "") + ("gap" if line.gap else "")
    return [line.level, line.text[:start], line.text[start:end], line.text[end:], kind]

"""A log box that follows its end unless the reader scrolled up. Text only, never markup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from platform_core.jobs.logs import Line

STATIC = Path(__file__).with_name("static")

_view = st.components.v2.component(
    "lathe_log_view",
    html='<pre tabindex="0" role="log">\n</pre>',
    css=(STATIC / "log_view.css").read_text("utf-8"),
    js=(STATIC / "log_view.js").read_text("utf-8"),
)


def log_view(lines: Sequence[Line], stamp: str, *, key: str, empty: str = "", height: int = 430) -> None:
    """Show lines, each in the colour of its level; nothing is drawn anew while `stamp` stays."""
    shown = [[line.level, line.text] for line in lines]
    _view(key=key, data={"lines": shown, "stamp": stamp, "empty": empty, "height": height}, height=height)

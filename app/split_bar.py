"""A bar of parts of a whole, such as a GPU's memory: ours, other people's, free; with a legend that has the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app.ring import Part

STATIC = Path(__file__).with_name("static")

_bar = st.components.v2.component(
    "lathe_split_bar",
    html='<div class="root">\n</div>',
    css=(STATIC / "split_bar.css").read_text("utf-8"),
    js=(STATIC / "split_bar.js").read_text("utf-8"),
)


def split_bar(parts: Sequence[Part], *, key: str) -> None:
    """Draw the parts in order; what they leave of 1 stays empty."""
    shown = [{"name": p.name, "share": p.share, "text": p.text, "grey": p.grey} for p in parts]
    _bar(key=key, data={"parts": shown})

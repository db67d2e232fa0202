"""A ring of parts of a whole, with the number that matters in its middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

STATIC = Path(__file__).with_name("static")

_ring = st.components.v2.component(
    "lathe_ring",
    html='<div class="root">\n</div>',
    css=(STATIC / "ring.css").read_text("utf-8"),
    js=(STATIC / "ring.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Part:
    """One part: its share of 1, and the text beside its colour; `grey` makes it a shade of the text's colour."""

    name: str
    share: float
    text: str
    grey: float = 0.0


def ring(parts: Sequence[Part], value: str, label: str, *, key: str) -> None:
    """Draw the parts in order, `value` with `label` in the middle."""
    shown = [{"name": p.name, "share": p.share, "text": p.text, "grey": p.grey} for p in parts]
    _ring(key=key, data={"parts": shown, "value": value, "label": label})

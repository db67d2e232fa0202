"""A table that folds into cards where it is narrow: states, progress, sparklines, links; rows can be chosen.

Every value is drawn as text. A refresh changes only the rows that changed, so that focus and choice stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app.words import _

STATIC = Path(__file__).with_name("static")
Draw = Literal["link", "state", "progress", "spark", "text", "star"]
Cell = dict[str, Any] | None

_table = st.components.v2.component(
    "lathe_table",
    html='<div class="root wrap"><table><thead><tr></tr></thead><tbody></tbody></table>\n</div>',
    css=(STATIC / "marks.css").read_text("utf-8") + (STATIC / "table.css").read_text("utf-8"),
    js=(STATIC / "table.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Column:
    """One column: which cell of a row, its heading, how it is drawn, classes of table.css, a hint on its heading."""

    name: str
    label: str
    draw: Draw = "text"
    kind: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Row:
    """One row; `label` is what a screen reader says for its box."""

    id: str
    cells: dict[str, Cell]
    label: str = ""


def table(columns: Sequence[Column], rows: Sequence[Row], *, key: str, stamp: str = "") -> str | None:
    """Draw rows that are only read; returns the id of a link that was just pressed."""
    return _drawn(columns, rows, key, stamp, None)[0]


def choice_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    key: str,
    stamp: str,
    chosen: Sequence[str],
    on_press: Callable[[str], None] | None = None,
) -> tuple[str | None, list[str]]:
    """Draw rows with a box each: the id of a link that was just pressed, and the ids that are chosen.

    `chosen` counts whenever `stamp` has changed; until then the choice in the browser does. `on_press` gets the id of
    the row whose star was just pressed.
    """
    opened, ids, pressed = _drawn(columns, rows, key, stamp, chosen)
    if pressed is not None and on_press is not None:
        on_press(pressed)
    return opened, ids


def words(text: str, small: str = "", exact: str = "") -> Cell:
    """A cell of text, with a smaller line below and the exact value on hover."""
    return {"text": text, "small": small, "exact": exact}


def _drawn(
    columns: Sequence[Column], rows: Sequence[Row], key: str, stamp: str, chosen: Sequence[str] | None
) -> tuple[str | None, list[str], str | None]:
    selectable = chosen is not None
    result = _table(
        key=key,
        data={
            "columns": [
                {"name": c.name, "label": c.label, "draw": c.draw, "kind": c.kind or c.draw, "hint": c.hint}
                for c in columns
            ],
            "rows": [{"id": r.id, "cells": r.cells, "label": r.label} for r in rows],
            "selectable": selectable,
            "chosen": list(chosen or ()),
            "stamp": stamp,
            "all": _("Choose all"),
        },
        default={"chosen": list(chosen or ())},
        on_open_change=_nothing,
        on_press_change=_nothing,
        on_chosen_change=_nothing,
    )
    known = {r.id for r in rows}
    opened = result.open if isinstance(result.open, str) else None
    pressed = result.press if isinstance(result.press, str) and result.press in known else None
    return opened, [i for i in (result.chosen or ()) if i in known] if selectable else [], pressed


def _nothing() -> None:
    """What was pressed or chosen is read from the component's value."""

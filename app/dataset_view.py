"""The inside of a dataset: its rows a page at a time, its fields, and the rows that can't be used. Text stays text."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from app.page import plain, workspace
from app.sizes import count_text
from app.words import _, say
from platform_core.datasets import service as datasets
from platform_core.datasets.report import Report

PAGE = 20
CELL = 300


def rows(name: str, report: Report) -> None:
    """The readable rows, a page at a time; one in full when the address names it by its place among them."""
    if not report.readable_rows:
        st.caption(_("No row can be read."))
        return
    pages = -(-report.readable_rows // PAGE)
    page = st.pagination(pages, key="p", bind="query-params") if pages > 1 else 1
    found = datasets.preview(workspace().home, name, (page - 1) * PAGE, PAGE)
    names = [f.name for f in report.fields][:20]
    table = {_("Row"): [row.number for row in found]}
    columns: dict[str, Any] = {_("Row"): st.column_config.NumberColumn(width="small", format="%d")}
    for field in names:
        table[field] = [cell(row.value.get(field)) for row in found]
        columns[field] = st.column_config.TextColumn(width="large")
    key = f"table.{name}.{page}"
    st.dataframe(
        table, hide_index=True, key=key, on_select=lambda: keep_row(key, page), selection_mode="single-row",
        column_config=columns, row_height=34, height="content",
    )  # fmt: skip
    asked = st.query_params.get("row", "")
    place = int(asked) if asked.isdecimal() and len(asked) < 16 else 0
    chosen = datasets.preview(workspace().home, name, place - 1, 1) if place else []
    for row in chosen:
        st.caption(_("Row {n} in full", n=row.number))
        st.code(json.dumps(row.value, ensure_ascii=False, indent=1)[:100_000], language=None, wrap_lines=True)
    if not chosen:
        st.caption(_("Choose a row to read it in full."))


def keep_row(key: str, page: int) -> None:
    """Keep in the address which row was chosen, by its place among all readable ones."""
    chosen = st.session_state[key].selection.rows
    if chosen:
        st.query_params["row"] = str((page - 1) * PAGE + chosen[0] + 1)
    else:
        st.query_params.pop("row", None)


def cell(value: object) -> str:
    """A value as one short line of text."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", " ⏎ ")
    return text if len(text) <= CELL else text[:CELL] + "…"


def fields(report: Report) -> None:
    """The columns: kinds of value, how often filled, lengths, an example."""
    lengths = {one.field: one for one in report.lengths}
    used = {column: part for part, column in report.columns.items()}
    st.dataframe(
        {
            _("Field"): [f.name for f in report.fields],
            _("Used as"): [used.get(f.name, "") for f in report.fields],
            _("Kind"): [", ".join(f.kinds) for f in report.fields],
            _("Filled"): [f.filled for f in report.fields],
            _("Median length"): [lengths[f.name].p50 if f.name in lengths else None for f in report.fields],
            _("95 % shorter than"): [lengths[f.name].p95 if f.name in lengths else None for f in report.fields],
            _("Example"): [cell(f.example) for f in report.fields],
        },
        hide_index=True,
        column_config={_("Filled"): st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
        key="fields",
    )
    st.caption(_("Lengths in characters."))


def problems(report: Report) -> None:
    """Why rows can't be used: the reasons by number, then the first such rows."""
    if not report.problems:
        st.caption(_("Every row can be used."))
        return
    for counted in report.problem_counts[:20]:
        st.markdown(f"**{count_text(counted.count)}** × {plain(say(counted.reason))}")
    st.dataframe(
        {
            _("Row"): [p.row for p in report.problems],
            **({_("File"): [p.file for p in report.problems]} if len(report.files) > 1 else {}),
            _("Why it can't be used"): [say(p.reason) for p in report.problems],
        },
        hide_index=True,
        column_config={_("Row"): st.column_config.NumberColumn(width=80, format="%d")},
        key="problems",
    )

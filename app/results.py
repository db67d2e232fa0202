"""Numbers that a job ended with: each with its interval and n where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.format import number, share, share_interval
from app.metric_words import hint, title, unit
from app.table import Column, Row, table, words
from app.words import _
from platform_core.evaluation.scores import SHARES, Score, scores


def title_text(name: str) -> str:
    """What a number of a result is called; a part of a score with its category."""
    stem, slash, category = name.partition("/")
    return f"{title(stem)} · {category}" if slash and stem in SHARES else title(name)


def value_text(score: Score) -> str:
    """The number as it is read, a share in per cent."""
    if score.is_share and isinstance(score.value, int | float):
        return share(float(score.value))
    return " ".join(part for part in (number(score.value), unit(score.name)) if part)


def interval_text(score: Score) -> str:
    """Its 95 % interval; empty when there is none."""
    if score.low is None or score.high is None:
        return ""
    return share_interval(score.low, score.high) if score.is_share else f"{number(score.low)}–{number(score.high)}"


def result_table(metrics: Mapping[str, Any], key: str) -> None:
    """All numbers of a result as a table."""
    found = scores(metrics)
    with_bounds = any(score.low is not None for score in found)
    columns = [Column("name", _("Metric"), kind="long"), Column("value", _("Value"), kind="number")]
    if with_bounds:
        columns += [Column("interval", _("95 % interval"), kind="number"), Column("n", _("n"), kind="number")]
    rows = [
        Row(
            score.name,
            {
                "name": words(title_text(score.name), exact=hint(score.name)),
                "value": words(value_text(score), exact=str(score.value)),
                "interval": words(interval_text(score)),
                "n": words("" if score.n is None else number(score.n)),
            },
        )
        for score in found
    ]
    with st.container(width=760, key=f"{key}.box"):
        table(columns, rows, key=key)

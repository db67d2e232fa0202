"""Numbers that a job ended with: each with its interval and n where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.format import number, share, share_interval
from app.metric_words import hint, title, unit
from app.table import Column, Row, table, words
from app.words import _

SHARES = ("exact_match", "sampled_accuracy", "mean_token_accuracy", "completions/clipped_ratio", "frac_reward_zero_std")


@dataclass(frozen=True)
class Score:
    """One number of a result; `low` and `high` are its 95 % interval, `n` the questions behind it."""

    name: str
    value: object
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @property
    def is_share(self) -> bool:
        return self.name.partition("/")[0] in SHARES or self.name in SHARES

    def title_text(self) -> str:
        """What it is called; a part of a score with its category."""
        stem, slash, category = self.name.partition("/")
        return f"{title(stem)} · {category}" if slash and stem in SHARES else title(self.name)

    def value_text(self) -> str:
        """The number as it is read, a share in per cent."""
        if self.is_share and isinstance(self.value, int | float):
            return share(float(self.value))
        return " ".join(part for part in (number(self.value), unit(self.name)) if part)

    def interval_text(self) -> str:
        """Its 95 % interval; empty when there is none."""
        if self.low is None or self.high is None:
            return ""
        return share_interval(self.low, self.high) if self.is_share else f"{number(self.low)}–{number(self.high)}"


def scores(metrics: Mapping[str, Any]) -> list[Score]:
    """The numbers of a result, its bounds joined to them (`exact_match_low`, `sampled_low` …)."""
    bounds, made = set(), []
    n = metrics.get("n")
    for name, value in metrics.items():
        stem = next((s for s in (name, name.removesuffix("_accuracy")) if f"{s}_low" in metrics), None)
        if stem is None:
            made.append(Score(name, value))
            continue
        low, high = metrics[f"{stem}_low"], metrics.get(f"{stem}_high")
        bounds |= {f"{stem}_low", f"{stem}_high"}
        made.append(Score(name, value, low, high, n if isinstance(n, int) else None))
    return [score for score in made if score.name not in bounds and not (score.name == "n" and bounds)]


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
                "name": words(score.title_text(), exact=hint(score.name)),
                "value": words(score.value_text(), exact=str(score.value)),
                "interval": words(score.interval_text()),
                "n": words("" if score.n is None else number(score.n)),
            },
        )
        for score in found
    ]
    with st.container(width=760, key=f"{key}.box"):
        table(columns, rows, key=key)

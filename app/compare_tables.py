"""Tables of a comparison: what differs between the runs, what came of it, groups with mean and spread."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.format import UNKNOWN, number, share
from app.metric_words import hint
from app.results import interval_text, value_text
from app.sizes import typed
from app.state import as_cell, kind_title
from app.table import Cell, Column, Row, table, words
from app.words import _, say
from platform_core.evaluation.scores import Score
from platform_core.jobs.compare import ABSENT, Comparison, Group, Run, SettingRow, best, metric_title, setting_title

BESIDE_NAMES = 4


def setting_text(name: str, value: object) -> str:
    """The value of a setting as people type it, a kind by its title; a dash where the kind of job lacks the setting."""
    if value is ABSENT:
        return UNKNOWN
    if name == "kind":
        return kind_title(str(value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return _("none") if value is None else typed(value)


def group_text(by: str, label: object) -> str:
    """What the runs of a group have in common."""
    if by == "tag" and label is None:
        return _("no tag")
    return (str(label) if label else _("no group")) if by == "group" else setting_text(by, label)


def runs_table(shown: Comparison, metrics: Sequence[str], key: str) -> str | None:
    """A row for each run: its name, the first settings that differ, its numbers; returns the id of a pressed name."""
    settings = [row for row in shown.different if row.name != "kind"][:BESIDE_NAMES]
    columns = [Column("name", _("Run"), "link", "name"), Column("state", _("State"), "state")]
    columns += [Column(f"s.{row.name}", setting_title(row.setting, say), hint=_(row.setting.help)) for row in settings]
    columns += [Column(f"m.{name}", metric_title(name, say), kind="value", hint=hint(name)) for name in metrics]
    top = {name: best(shown.runs, name) for name in metrics}
    rows = []
    for at, run in enumerate(shown.runs):
        cells: dict[str, Cell] = {"name": name_cell(run), "state": as_cell(run.job.state)}
        cells |= {f"s.{row.name}": words(setting_text(row.name, row.values[at])) for row in settings}
        cells |= {f"m.{name}": score_cell(run, name, run.job.id in top[name]) for name in metrics}
        rows.append(Row(run.job.id, cells))
    return table(columns, rows, key=key)


def name_cell(run: Run) -> Cell:
    """The run's name as a link to it."""
    small = " · ".join([kind_title(run.job.kind), run.job.id[-4:], *run.job.tags])
    return {"text": run.job.name, "href": f"monitor?job={run.job.id}", "id": run.job.id, "small": small}


def score_cell(run: Run, metric: str, is_best: bool) -> Cell:
    """A number with its interval and n, whether it is the best, and where it comes from."""
    score = run.scores.get(metric)
    if score is None or run.value(metric) is None:
        return words(UNKNOWN)
    said = [_("best")] if is_best else []
    if score.low is not None:
        said.append(interval_text(score))
    if score.n is not None:
        said.append(_("n {n}", n=number(score.n)))
    if not run.final and metric not in run.evaluated:
        said.append(_("last value"))
    source = run.evaluated.get(metric)
    exact = (
        str(score.value) if source is None else _("{value}, measured by “{name}”", value=score.value, name=source.name)
    )
    return {**(words(value_text(score), " · ".join(said), exact) or {}), "strong": is_best}


def setting_matrix(rows: Sequence[SettingRow], runs: Sequence[Run], key: str) -> None:
    """A row for each setting, a column for each run; a list for each setting where there are many runs."""
    columns = [Column("name", _("Setting"))]
    columns += [Column(run.job.id, f"{run.job.name[:24]} · {run.job.id[-4:]}", hint=run.job.name) for run in runs]
    made = []
    for row in rows:
        name = words(setting_title(row.setting, say), row.name, _(row.setting.help) if row.setting.help else "")
        values = {run.job.id: words(setting_text(row.name, v)) for run, v in zip(runs, row.values, strict=True)}
        made.append(Row(row.name, {"name": name, **values}))
    table(columns, made, key=key)


def equal_settings(rows: Sequence[SettingRow], key: str) -> None:
    """Settings that all runs share, with the one value."""
    columns = [Column("name", _("Setting")), Column("value", _("Value of all runs"), kind="long")]
    made = []
    for row in rows:
        name = words(setting_title(row.setting, say), row.name)
        made.append(Row(row.name, {"name": name, "value": words(setting_text(row.name, row.values[0]))}))
    with st.container(width=760, key=f"{key}.box"):
        table(columns, made, key=key)


def metric_matrix(shown: Comparison, key: str) -> None:
    """All numbers: a row for each metric, a column for each run, the best one marked."""
    columns = [Column("name", _("Metric"))]
    columns += [
        Column(run.job.id, f"{run.job.name[:24]} · {run.job.id[-4:]}", kind="value", hint=run.job.name)
        for run in shown.runs
    ]
    rows = []
    for name in shown.metrics:
        top = best(shown.runs, name)
        cells: dict[str, Cell] = {"name": words(metric_title(name, say), "", hint(name))}
        cells |= {run.job.id: score_cell(run, name, run.job.id in top) for run in shown.runs}
        rows.append(Row(name, cells))
    table(columns, rows, key=key)


def spread_text(metric: str, sd: float | None) -> str:
    """A standard deviation as its mean is read."""
    return number(sd, 2) if sd is None or not Score(metric, sd).is_share else share(sd)


def group_table(by: str, metric: str, found: Sequence[Group], key: str) -> None:
    """Groups of runs with n, mean and standard deviation of a metric."""
    columns = [
        Column("label", _("Group")),
        Column("n", _("n"), kind="number", hint=_("Runs of the group that have this metric.")),
        Column("mean", _("Mean"), kind="number"),
        Column("sd", _("Standard deviation"), kind="number", hint=_("Between runs, n − 1; a dash for a single run.")),
        Column("runs", _("Runs"), kind="long"),
    ]
    rows = [
        Row(
            str(at),
            {
                "label": words(group_text(by, group.label)),
                "n": words(number(group.n)),
                "mean": words(
                    UNKNOWN if group.mean is None else value_text(Score(metric, group.mean)), exact=str(group.mean)
                ),
                "sd": words(spread_text(metric, group.sd)),
                "runs": words(", ".join(run.job.name[:40] for run in group.runs)),
            },
        )
        for at, group in enumerate(found)
    ]
    table(columns, rows, key=key)

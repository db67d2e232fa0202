"""Compare: runs side by side. What was different, what came of it, curves, any setting against any metric, groups."""

from __future__ import annotations

import streamlit as st

from app.compare_charts import group_figure, scatter_figure
from app.compare_curves import compare_curves, pick
from app.compare_tables import equal_settings, group_table, metric_matrix, runs_table, setting_matrix
from app.format import number
from app.live_chart import live_chart
from app.page import Door, empty_state, go, guarded, header, plain, workspace
from app.report_links import report_menu
from app.words import _, say
from platform_core.jobs import service as jobs
from platform_core.jobs.compare import MOST, Comparison, compare, grouped, metric_title, setting_title
from platform_core.jobs.states import LIVE

EVERY = 5.0
RUNS, SEEN = "compare.runs", "compare.address"
OFFERED = 200
NEXT_TO_NAMES = 2


def asked() -> list[str]:
    """The ids in the address, in order."""
    return [part for part in st.query_params.get("jobs", "").split(",") if part][: 5 * MOST]


def picker(shown: Comparison) -> None:
    """The runs to compare; chosen here they are written into the address."""
    offered = {job.id: job for job in jobs.list_jobs(workspace(), archived=False, limit=OFFERED)}
    offered |= {run.job.id: run.job for run in shown.runs}
    if st.session_state.get(SEEN) != st.query_params.get("jobs"):
        st.session_state[RUNS] = [run.job.id for run in shown.runs]
        st.session_state[SEEN] = st.query_params.get("jobs")
    st.multiselect(
        _("Runs"), list(offered), key=RUNS, max_selections=MOST, placeholder=_("Choose runs to compare"),
        format_func=lambda job_id: f"{offered[job_id].name[:60]} · {job_id[-4:]}", on_change=keep_runs,
    )  # fmt: skip


def keep_runs() -> None:
    """Write the chosen runs into the address."""
    chosen = st.session_state[RUNS]
    if chosen:
        st.query_params["jobs"] = ",".join(chosen)
    else:
        st.query_params.pop("jobs", None)
    st.session_state[SEEN] = st.query_params.get("jobs")


def material() -> None:
    """Everything below the choice of runs; drawn again every few seconds while one of them lives."""
    shown = compare(workspace(), asked())
    if not shown.runs:
        return
    metrics = shown.metrics
    with guarded():
        opened = runs_table(shown, metrics[:NEXT_TO_NAMES], key="compare.table")
        if opened is not None:
            go("monitor", job=opened)
        folded(shown)
    with guarded():
        compare_curves(shown)
    if not metrics:
        st.caption(_("No run has a number yet: points and groups come with the first one."))
        return
    left, right = st.columns(2, gap="large")
    with left, guarded():
        scatter(shown)
    with right, guarded():
        groups(shown)


def folded(shown: Comparison) -> None:
    """Everything about settings and numbers, folded."""
    several = len(shown.runs) > 1
    if several and shown.different:
        with st.expander(_("Settings that differ: {n}", n=len(shown.different)), key="compare.different"):
            setting_matrix(shown.different, shown.runs, key="compare.different.table")
    elif several:
        st.caption(_("All settings are equal."))
    label = _("Settings that are equal: {n}", n=len(shown.equal)) if several else _("Settings")
    with st.expander(label, key="compare.equal"):
        equal_settings(shown.equal, key="compare.equal.table")
    if len(shown.metrics) > NEXT_TO_NAMES:
        with st.expander(_("All {n} numbers", n=len(shown.metrics)), key="compare.numbers"):
            metric_matrix(shown, key="compare.numbers.table")


def scatter(shown: Comparison) -> None:
    """Any setting against any metric."""
    st.subheader(_("Setting against metric"), anchor=False)
    rows = {row.name: row for row in [*shown.different, *shown.equal]}
    titles = {n: setting_title(row.setting, say) for n, row in rows.items()}
    first = first_choice(shown)
    with st.container(horizontal=True, key="compare.scatter.choice"):
        name = pick(_("Setting"), "x", {first: titles[first]} | titles)
        metric = pick(_("Metric"), "y", {n: metric_title(n, say) for n in shown.metrics})
    figure = scatter_figure(shown.runs, rows[name], metric)
    without = len(shown.runs) - len(figure["data"])
    live_chart(metric_title(metric, say), figure, key=f"compare.scatter.{name}.{metric}", height=320)
    if without:
        st.caption(
            _("1 run lacks one of the two.") if without == 1 else _("{n} runs lack one of the two.", n=number(without))
        )


def first_choice(shown: Comparison) -> str:
    """The first setting that differs and is more than the seed."""
    return next((row.name for row in shown.different if row.name != "seed"), "kind")


def groups(shown: Comparison) -> None:
    """Runs that agree in a setting, a tag or a group: mean and spread."""
    st.subheader(_("Groups"), anchor=False)
    rows = {row.name: row for row in [*shown.different, *shown.equal]}
    titles = {"tag": _("Tag"), "group": _("Group")} | {n: setting_title(r.setting, say) for n, r in rows.items()}
    first = first_choice(shown)
    with st.container(horizontal=True, key="compare.group.choice"):
        by = pick(_("Group by"), "by", {first: titles[first]} | titles)
        metric = pick(_("Metric"), "of", {n: metric_title(n, say) for n in shown.metrics})
    found = grouped(shown, by, metric)
    figure = group_figure(by, titles[by], found, metric)
    live_chart(metric_title(metric, say), figure, key=f"compare.groups.{by}.{metric}", height=320)
    st.caption(_("Mean ± standard deviation between runs; pale: the runs."))
    group_table(by, metric, found, key="compare.groups.table")


def page() -> None:
    """The head, the choice of runs, and what there is to see of them."""
    ids = asked()
    shown = compare(workspace(), ids)
    with header(_("Compare"), _("Runs side by side: what was different, and what came of it.")):
        if shown.runs:
            report_menu([run.job for run in shown.runs])
    picker(shown)
    for said in shown.left_out:
        st.warning(plain(say(said)), icon=":material/info:")
    if not shown.runs:
        empty_state(
            _("No runs chosen"),
            _("Choose some above, or mark them on the Jobs page and press Compare."),
            [Door(_("Jobs"), _("Mark the rows that you want to see side by side."), "list_alt", "jobs", primary=True)],
        )
        return
    lively = any(run.job.state in LIVE for run in shown.runs)
    st.fragment(material, run_every=EVERY if lively else None, key="compare")()


page()

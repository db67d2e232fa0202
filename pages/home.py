"""Home: what runs, what needs you, what can be done next; in an empty workspace, the three ways to begin."""

from __future__ import annotations

import streamlit as st

from app.alerts_panel import open_alerts
from app.demo_panel import begin, demo_panel, demo_result, try_a_sum
from app.job_actions import refusals, undo_bar
from app.job_rows import job_columns, job_row
from app.page import Door, empty_state, go, guarded, header, link, plain, workspace
from app.sizes import bytes_text
from app.table import table
from app.words import _, say
from platform_core.alerts import service as alerts
from platform_core.clock import now
from platform_core.datasets import service as datasets
from platform_core.demo import service as demo
from platform_core.doctor.diagnosis import LEVELS
from platform_core.environment.machine import TIGHT_DISK
from platform_core.environment.machine import disk as disk_of
from platform_core.jobs import service as jobs
from platform_core.jobs.states import LIVE

BUSY, CALM = 2.0, 10.0
SHOWN = 6
RECENT = 7 * 86_400.0


def doors() -> list[Door]:
    """The three ways to begin."""
    return [
        Door(
            _("Run the demo"),
            _("Watch a small language model learn to add, from nothing, in about two minutes on this machine."),
            "play_circle",
            do=begin,
            primary=True,
        ),
        Door(
            _("New job"),
            _("Train, fine-tune or evaluate: a short form with defaults that work here."),
            "add_circle",
            page="new-job",
        ),
        Door(
            _("Add data"),
            _("Upload or register your own texts, prompts and answers; every row is checked."),
            "database",
            page="datasets",
        ),
    ]


def changing(busy: bool, group: str | None) -> None:
    """What changes by itself: what needs a person, the demo; drawn again every few seconds."""
    counts = jobs.count_jobs(workspace())
    if any(counts.get(state) for state in LIVE) != busy or demo.latest_demo(workspace()) != group:
        st.rerun()
    undo_bar(workspace())
    refusals()
    with guarded():
        needs_you()
    if group is not None:
        st.subheader(_("The demo"), anchor=False)
        with guarded():
            demo_panel(workspace(), group)


def running(group: str | None) -> None:
    """Jobs that run or wait, the demo's own left to its panel."""
    with guarded():
        found = jobs.list_jobs(workspace(), states=LIVE, limit=200)
        own = [job for job in found if group is None or job.group_name != group]
        st.subheader(_("Running"), anchor=False)
        if own:
            jobs_table([job.id for job in own[:SHOWN]], "home.running")
        else:
            st.caption(_("Nothing else runs right now.") if found else _("Nothing runs right now."))
        if len(own) > SHOWN:
            link("jobs", _("All {n} in Jobs", n=len(own)), "list_alt")


def recent(group: str | None) -> None:
    """What ended last, the demo's own left to its panel."""
    found = jobs.list_jobs(workspace(), states=["completed", "stopped"], limit=5 * SHOWN)
    own = [job for job in found if group is None or job.group_name != group]
    if own:
        st.subheader(_("Finished"), anchor=False)
        jobs_table([job.id for job in own[:SHOWN]], "home.finished")


def jobs_table(ids: list[str], key: str) -> None:
    """A few jobs as rows that lead to their monitors."""
    found = jobs.list_jobs(workspace(), ids=ids)
    opened = table(job_columns(), [job_row(job) for job in found], key=key)
    if opened:
        go("monitor", job=opened)


def needs_you() -> None:
    """What waits for a person: failed jobs of this week, datasets that can't be used, a disk that fills up."""
    failed = [j for j in jobs.list_jobs(workspace(), states=["failed"], limit=SHOWN) if now() - j.since < RECENT]
    broken = [d for d in datasets.list_datasets(workspace().home) if unusable(d)]
    disk = disk_of(workspace().home)
    asking = alerts.asking(workspace(), limit=SHOWN)
    failed = [job for job in failed if job.id not in {alert.job_id for alert in asking}]
    if not failed and not broken and not asking and disk.free >= TIGHT_DISK:
        return
    st.subheader(_("Needs you"), anchor=False)
    with st.container(border=True, key="needs-you", gap="xsmall"):
        open_alerts(sorted(asking, key=lambda a: -LEVELS.index(a.level)))
        for job in failed:
            with st.container(gap=None):
                link("monitor", _("{name} failed", name=job.name), "error", job=job.id)
                st.caption(plain(say(job.reason)) if job.reason is not None else "")
        for info in broken[:SHOWN]:
            link("datasets", _("{name} has no row that can be used", name=info.name), "database", name=info.name)
        if disk.free < TIGHT_DISK:
            link("environment", _("Only {free} are free on the disk", free=bytes_text(disk.free)), "hard_drive")


def unusable(info: datasets.DatasetInfo) -> bool:
    """Whether somebody looked into a dataset and found nothing to train on."""
    return info.unreadable is not None or (info.report is not None and not info.report.good_rows)


def next_steps() -> None:
    """What can be done next, one line each."""
    st.subheader(_("Next"), anchor=False)
    with st.container(horizontal=True, key="next"):
        for door in doors():
            if st.button(door.title, icon=f":material/{door.icon}:", key=f"next-{door.icon}", help=door.line):
                if door.do is not None:
                    door.do()
                else:
                    go(door.page)


def home() -> None:
    """The page, by what the workspace holds."""
    place = workspace()
    counts = jobs.count_jobs(place)
    if not counts:
        header(_("Welcome"), _("Train language models on this machine, watch them learn, and judge them."))
        undo_bar(place)
        refusals()
        empty_state(_("Where to begin"), _("Nothing is here yet. Each of these takes one click."), doors())
        return
    with header(_("Home"), _("What runs, what needs you, what you can do next.")):
        if st.button(_("New job"), icon=":material/add:", type="primary", key="home.new"):
            go("new-job")
    busy = any(counts.get(state) for state in LIVE)
    every = BUSY if busy else CALM
    group = demo.latest_demo(place)
    st.fragment(changing, run_every=every, key="home.changing")(busy, group)
    if group is not None:
        with guarded():
            st.fragment(demo_done, key="home.done")(group)
    st.fragment(running, run_every=every, key="home.running.part")(group)
    with guarded():
        recent(group)
    next_steps()


def demo_done(group: str) -> None:
    """The finished demo: its result, and the models to be asked."""
    place = workspace()
    if demo.demo_result(place, group) is None:
        return
    left, right = st.columns([3, 2], gap="large")
    with left, guarded():
        demo_result(place, group)
    with right, guarded():
        try_a_sum(place, group)


home()

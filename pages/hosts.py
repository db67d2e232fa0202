"""Devices: GPUs, processor, memory, disk and network of each host, who uses them, and what is kept from jobs."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import address
from app.devices_view import decision_rows, gpu_card, host_charts, machine_facts, staleness
from app.format import ago
from app.page import Door, empty_state, guarded, header, link, plain, workspace
from app.words import _
from platform_core.clock import now
from platform_core.hosts import history, service
from platform_core.hosts.decisions import decisions
from platform_core.hosts.devices import Gpu
from platform_core.hosts.history import Latest
from platform_core.hosts.service import Drain, Reservation
from platform_core.jobs import service as jobs
from platform_core.jobs.service import current_user
from platform_core.jobs.states import LIVE

EVERY = 2.0
CURVES_EVERY = {"hour": 6.0, "day": 60.0}
SPANS = {"hour": 3600.0, "day": 86_400.0}
UNDO = "hosts.undo"
UNDO_SECONDS = 600.0


def present(host: str) -> None:
    """The host as it is now; drawn again every two seconds."""
    with guarded():
        found = history.latest(workspace(), host)
        if found is None:
            empty_state(
                _("Not sampled yet"),
                _("The supervisor looks at this host every two seconds; it starts with the first job, or with lathe "
                  "supervisor start."),
                [Door(_("New job"), _("Choose what to do and fill a short form."), "add_circle", "new-job",
                      primary=True)],
            )  # fmt: skip
            return
        staleness(found)
        st.subheader(_("Now") if found.fresh else _("When it was last seen"), anchor=False)
        machine_facts(found.snapshot)
        gpus(found)


def past(host: str, span: str) -> None:
    """Curves of the chosen time."""
    with guarded():
        found = history.latest(workspace(), host)
        if found is not None:
            host_charts(history.window(workspace(), host, SPANS[span]), found.snapshot, SPANS[span])


def gpus(found: Latest) -> None:
    """A card for each GPU, or why there is none."""
    seen = found.snapshot
    if seen.trouble:
        st.warning(
            _("Not all GPUs of {host} can be read: {reason}. The kernel log (dmesg, Xid) tells why.",
              host=plain(seen.host), reason=plain(seen.trouble)),
            icon=":material/warning:",
        )  # fmt: skip
    if not seen.gpus:
        if not seen.trouble:
            st.caption(_("No NVIDIA GPU here: jobs run on the CPU."))
        return
    reserved = service.reserved(workspace())
    names = {job.id: job.name for job in jobs.list_jobs(workspace(), states=tuple(LIVE))}
    with st.grid(4, min_column_width=250, gap="small", key="gpus"):
        for gpu in seen.gpus:
            with st.container(border=True, height="stretch", key=f"gpu-{gpu.index}", gap="xsmall"):
                gpu_card(gpu, reserved.get(gpu.uuid), names)


def ask_reserve(cards: Mapping[str, Gpu], host: str) -> None:
    """Reserve one of the GPUs, after saying what that does."""
    with st.popover(_("Reserve a GPU"), icon=":material/lock:", key="reserve"), st.form("reserve.form", border=False):
        uuid = st.selectbox("GPU", list(cards), format_func=lambda u: f"GPU {cards[u].index} · {cards[u].name}")
        st.caption(_("No new job is given it until it is released. A job that runs on it goes on."))
        reason = st.text_input(_("Reason"), placeholder=_("What it is kept for"), max_chars=service.LONGEST_REASON)
        if st.form_submit_button(_("Reserve"), type="primary", key="reserve.do"):
            with guarded():
                service.reserve(workspace(), uuid, current_user(), reason, host)
                st.rerun()


def ask_drain(host: str) -> None:
    """Drain a host, after saying what that does."""
    with st.popover(_("Take no new jobs"), icon=":material/block:", key="drain"), st.form("drain.form", border=False):
        st.markdown(f"**{plain(_('Start no new jobs on {host}?', host=host))}**")
        st.caption(_("Jobs that run go on to their end; those that wait stay in the queue until it takes jobs again."))
        reason = st.text_input(_("Reason"), placeholder=_("Why it takes no new jobs"), max_chars=service.LONGEST_REASON)
        if st.form_submit_button(_("Take no new jobs"), type="primary", key="drain.do"):
            with guarded():
                service.drain(workspace(), host, current_user(), reason)
                st.rerun()


def given_back(said: str, undone: Reservation | Drain | None) -> None:
    """Draw the page anew, with the way back from what was given back to jobs."""
    if undone is not None:
        st.session_state[UNDO] = (now(), said, undone)
    st.rerun()


def undo_bar() -> None:
    """What was just given back to jobs, with the way back, for ten minutes."""
    found: tuple[float, str, Reservation | Drain] | None = st.session_state.get(UNDO)
    if found is None or now() - found[0] > UNDO_SECONDS:
        return
    before = found[2]
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="undo"):
        st.markdown(f":material/lock_open: {plain(found[1])}", width="stretch")
        if st.button(_("Undo"), icon=":material/undo:", key="hosts.undo.do", type="primary"):
            st.session_state.pop(UNDO)
            if isinstance(before, Reservation):
                service.reserve(workspace(), before.gpu, current_user(), before.reason, before.host)
            else:
                service.drain(workspace(), before.host, current_user(), before.reason)
            st.rerun()
        if st.button(_("Dismiss"), key="hosts.undo.close", type="tertiary"):
            st.session_state.pop(UNDO)
            st.rerun()


def keep_back(host: str, found: Latest | None) -> None:
    """What is kept from new jobs, and the buttons that change it; outside of what is drawn every two seconds."""
    undo_bar()
    drained = service.drained(workspace(), host)
    if drained is not None:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="drained"):
            since = ago(max(0.0, now() - drained.since))
            said = _("{host} starts no new jobs: {who} decided so {ago}.", host=host, who=drained.actor, ago=since)
            st.markdown(f":material/block: {plain(' '.join([said, drained.reason]))}", width="stretch")
            if st.button(_("Take jobs again"), type="primary", key="undrain"):
                given_back(_("{host} takes jobs again.", host=host), service.undrain(workspace(), host, current_user()))
    reserved = service.reserved(workspace())
    cards = {g.uuid: g for g in found.snapshot.gpus} if found is not None else {}
    mine = [uuid for uuid, kept in reserved.items() if kept.host == host]
    with st.container(horizontal=True, vertical_alignment="bottom", key="keep-back"):
        if drained is None:
            ask_drain(host)
        free = {uuid: gpu for uuid, gpu in cards.items() if uuid not in reserved}
        if free:
            ask_reserve(free, host)
        for uuid in mine:
            label = f"GPU {cards[uuid].index}" if uuid in cards else uuid
            if st.button(plain(_("Release {gpu}", gpu=label)), icon=":material/lock_open:", key=f"release.{uuid}"):
                given_back(_("{gpu} is given to jobs again.", gpu=label),
                           service.release(workspace(), uuid, current_user()))  # fmt: skip


def show() -> None:
    """The chosen host."""
    names = history.hosts(workspace())
    with header(_("Devices"), _("What this machine has, how busy it is, and who uses it.")):
        link("queue", _("Queue"), "low_priority")
    host = names[0]
    if len(names) > 1:
        address.chosen("host", names, names[0])
        host = str(st.selectbox(_("Host"), names, key="host", on_change=address.keep, args=("host", names[0])))
    found = history.latest(workspace(), host)
    with guarded():
        keep_back(host, found)
    st.fragment(present, run_every=EVERY, key="hosts.now")(host)
    with st.container(horizontal=True, vertical_alignment="bottom", key="device-controls"):
        span = address.one_of(_("Curves of"), "span", {"hour": _("Last hour"), "day": _("Last day")})
    st.fragment(past, run_every=CURVES_EVERY[span], key="hosts.past")(host, span)
    made = decisions(workspace(), host)
    if made:
        with st.expander(_("Who reserved, released and drained"), key="decisions"):
            decision_rows(made, found)


show()

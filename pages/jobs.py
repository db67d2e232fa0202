"""Jobs: all of them, found, started, stopped, deleted and brought back."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.demo_panel import begin
from app.job_actions import clone_button, delete_button, do, pause_button, refusals, start_button, stop_button, undo_bar
from app.job_marks import mark_menu, marks_undo_bar
from app.job_rows import STAR, job_columns, job_row
from app.page import Door, empty_state, go, guarded, header, workspace
from app.state import word
from app.table import choice_table
from app.words import _
from platform_core.algorithms.registry import algorithms
from platform_core.jobs import organize
from platform_core.jobs import service as jobs
from platform_core.jobs.organize import LONGEST_TAG
from platform_core.jobs.states import LIVE, NEXT, State
from platform_core.jobs.store import Job

PAGE = 50
BUSY, CALM = 2.0, 10.0
TABLE = "jobs.table"
SEARCH, STATES, KINDS, TRASH, AT = "jobs.q", "jobs.state", "jobs.kind", "jobs.trash", "jobs.page"
TAG, STARRED, ARCHIVED = "jobs.tag", "jobs.starred", "jobs.archived"
FILTERS = {
    SEARCH: "q", STATES: "state", KINDS: "kind", TRASH: "trash", AT: "p", TAG: "tag", STARRED: "starred",
    ARCHIVED: "archived",
}  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """Which jobs a person wants to see; all of it is in the page's address."""

    search: str
    states: tuple[State, ...]
    kinds: tuple[str, ...]
    trash: bool
    page: int
    tag: str | None = None
    starred: bool = False
    archived: bool = False

    @property
    def narrows(self) -> bool:
        return bool(self.search or self.states or self.kinds or self.tag or self.starred or self.archived)

    @property
    def stamp(self) -> str:
        return repr(self)


def take_address() -> None:
    """Fill the filters from the address when the page is opened or its address was changed."""
    query = {name: st.query_params.get_all(name) for name in FILTERS.values()}
    if query == st.session_state.get("jobs.address"):
        return
    st.session_state["jobs.address"] = query
    kinds = algorithms()
    st.session_state[SEARCH] = "".join(query["q"])[:200]
    st.session_state[STATES] = [s for s in query["state"] if s in NEXT]
    st.session_state[KINDS] = [k for k in query["kind"] if k in kinds]
    st.session_state[TRASH] = query["trash"] == ["1"]
    st.session_state[TAG] = "".join(query["tag"])[:LONGEST_TAG] or None
    st.session_state[STARRED] = query["starred"] == ["1"]
    st.session_state[ARCHIVED] = query["archived"] == ["1"]
    number = "".join(query["p"])
    st.session_state[AT] = int(number) if number.isdigit() and number.isascii() and len(number) < 7 else 1


def keep_address(page: str | None = None) -> None:
    """Write the filters into the address; a new filter begins at the first page, `page` names the pager's key."""
    st.session_state[AT] = st.session_state[page] if page is not None else 1
    wanted = {
        "q": st.session_state.get(SEARCH) or "",
        "state": st.session_state.get(STATES) or [],
        "kind": st.session_state.get(KINDS) or [],
        "trash": "1" if st.session_state.get(TRASH) else "",
        "tag": st.session_state.get(TAG) or "",
        "starred": "1" if st.session_state.get(STARRED) else "",
        "archived": "1" if st.session_state.get(ARCHIVED) else "",
        "p": str(st.session_state[AT]) if st.session_state.get(AT, 1) > 1 else "",
    }
    for name, value in wanted.items():
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
    st.session_state["jobs.address"] = {name: st.query_params.get_all(name) for name in FILTERS.values()}


def filters(counts: dict[State, int]) -> Filter:
    """Search, states with their counts, kinds, trash."""
    kinds = algorithms()
    with st.container(horizontal=True, vertical_alignment="center", key="job-filters"):
        search = st.text_input(
            _("Search"), key=SEARCH, type="search", placeholder=_("Search name, id or kind"), live=True,
            label_visibility="collapsed", on_change=keep_address,
        )  # fmt: skip
        chosen_kinds = st.multiselect(
            _("Kind"), list(kinds), key=KINDS, format_func=lambda name: _(kinds[name].title),
            placeholder=_("All kinds"), label_visibility="collapsed", on_change=keep_address, width=260,
        )  # fmt: skip
        tag = tag_filter()
        starred = st.toggle(_("Starred"), key=STARRED, on_change=keep_address)
        archived = st.toggle(_("Archive"), key=ARCHIVED, on_change=keep_address)
        trash = st.toggle(_("Trash"), key=TRASH, on_change=keep_address)
    states: list[State] = []
    if not trash:
        there = [state for state in NEXT if counts.get(state) or state in st.session_state.get(STATES, ())]
        states = st.pills(
            _("State"), there, selection_mode="multi", key=STATES, on_change=keep_address,
            format_func=lambda state: f"{word(state)} {counts.get(state, 0):,}", label_visibility="collapsed",
        )  # fmt: skip
    page = max(int(st.session_state.get(AT, 1)), 1)
    return Filter(search or "", tuple(states or ()), tuple(chosen_kinds), bool(trash), page, tag, starred, archived)


def tag_filter() -> str | None:
    """One tag of those in use; nothing where no job has any."""
    chosen = st.session_state.get(TAG)
    there = sorted({*organize.tags_in_use(workspace()), *([chosen] if chosen else [])})
    if not there:
        return None
    picked: str | None = st.selectbox(
        _("Tag"), there, index=None, key=TAG, placeholder=_("All tags"), label_visibility="collapsed",
        on_change=keep_address, width=180,
    )  # fmt: skip
    return picked


def found(wanted: Filter, page: int) -> list[Job]:
    """One page of jobs; the database does the searching."""
    return jobs.list_jobs(
        workspace(),
        states=wanted.states or None,
        kinds=wanted.kinds or None,
        search=wanted.search,
        deleted=wanted.trash,
        tag=wanted.tag,
        starred=wanted.starred,
        archived=None if wanted.trash else wanted.archived,
        limit=PAGE,
        offset=(page - 1) * PAGE,
    )


def is_busy() -> bool:
    """Whether any job will change by itself soon."""
    counts = jobs.count_jobs(workspace())
    return any(counts.get(state) for state in LIVE)


def listing(busy: bool) -> None:
    """Filters, actions and the table; drawn again every few seconds."""
    if is_busy() != busy:
        st.rerun()
    take_address()
    kinds, search = st.session_state.get(KINDS) or None, st.session_state.get(SEARCH) or ""
    tag, starred = st.session_state.get(TAG), bool(st.session_state.get(STARRED))
    archived = bool(st.session_state.get(ARCHIVED))
    counts = jobs.count_jobs(workspace(), kinds=kinds, search=search, tag=tag, starred=starred, archived=archived)
    undo_bar(workspace())
    marks_undo_bar(workspace())
    refusals()
    wanted = filters(counts)
    total = sum(counts.get(state, 0) for state in (wanted.states or NEXT))
    pages = max(-(-total // PAGE), 1)
    page = min(wanted.page, pages) if not wanted.trash else wanted.page
    shown = found(wanted, page)
    if not shown and page == 1:
        nothing(wanted)
        return
    with guarded():
        rows(wanted, shown)
    paging(wanted, len(shown), page, pages, total)


def rows(wanted: Filter, shown: list[Job]) -> None:
    """The actions for what is chosen, and the jobs."""
    actions = st.container(horizontal=True, vertical_alignment="center", key="job-actions")
    stamp = f"{wanted.stamp}|{st.session_state.get('jobs.cleared', 0)}"
    opened, ids = choice_table(
        [STAR, *job_columns()], [job_row(job) for job in shown], key=TABLE, stamp=stamp, chosen=(), on_press=press_star
    )
    if opened is not None and not wanted.trash:
        go("monitor", job=opened)
    chosen = [job for job in shown if job.id in ids]
    with actions:
        st.caption(_("{n} chosen", n=len(chosen)) if chosen else _("Choose jobs to act on them"), width="content")
        if wanted.trash:
            if st.button(
                _("Restore"), icon=":material/restore_from_trash:", disabled=not chosen, key="act.restore",
                type="primary",
            ):  # fmt: skip
                do(workspace(), jobs.restore, chosen)
                st.rerun()
            return
        if st.button(
            _("Compare"), icon=":material/compare_arrows:", disabled=len(chosen) < 2, key="act.compare",
            help=_("Settings that differ, results and curves side by side."),
        ):  # fmt: skip
            go("compare", jobs=",".join(job.id for job in chosen))
        mark_menu(workspace(), chosen)
        start_button(workspace(), chosen, _("Start"), primary=False)
        clone_button(chosen)
        pause_button(workspace(), chosen)
        stop_button(workspace(), chosen)
        delete_button(workspace(), chosen)


def press_star(job_id: str) -> None:
    """Put a star on the job, or take it off."""
    job = jobs.get(workspace(), job_id)
    do(workspace(), lambda place, wanted: organize.star(place, wanted, not job.starred), [job])
    st.rerun()


def paging(wanted: Filter, shown: int, page: int, pages: int, total: int) -> None:
    """Where the page is among all."""
    if wanted.trash:
        if shown == PAGE:
            st.caption(_("The newest {n} of the trash: search for older ones.", n=PAGE))
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        first = (page - 1) * PAGE + 1
        st.caption(
            _("{first}–{last} of {total}", first=f"{first:,}", last=f"{first + shown - 1:,}", total=f"{total:,}")
        )
        if pages > 1:
            key = f"jobs.pager.{page}.{pages}"
            st.pagination(pages, default=page, key=key, on_change=keep_address, args=(key,))


def nothing(wanted: Filter) -> None:
    """What stands where no job is."""
    if wanted.trash:
        st.caption(_("The trash holds no job that fits.") if wanted.search else _("The trash is empty."))
    elif wanted.narrows:
        st.caption(_("No job fits these filters."))
        if st.button(_("Clear the filters"), icon=":material/filter_alt_off:", key="jobs.clear"):
            for name in ("q", "state", "kind", "p", "tag", "starred", "archived"):
                st.query_params.pop(name, None)
            st.rerun()
    elif away := sum(jobs.count_jobs(workspace(), archived=True).values()):
        st.caption(_("All jobs ({n}) are in the archive.", n=f"{away:,}"))
        if st.button(_("Show the archive"), icon=":material/archive:", key="jobs.archive"):
            st.query_params["archived"] = "1"
            st.rerun()
    else:
        empty_state(
            _("No jobs yet"),
            _("A job is one training or evaluation. Begin with one of these."),
            [
                Door(
                    _("New job"), _("Choose what to do and fill a short form."), "add_circle", "new-job", primary=True
                ),
                Door(
                    _("Run the demo"), _("A small model learns to add, in about two minutes."), "play_circle", do=begin
                ),
            ],
        )


with header(_("Jobs"), _("Everything that runs, waits or has ended.")):
    if st.button(_("New job"), icon=":material/add:", type="primary", key="jobs.new"):
        go("new-job")
lively = is_busy()
st.fragment(listing, run_every=BUSY if lively else CALM, key="jobs")(lively)

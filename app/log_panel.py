"""A job's log on its page: its end as it grows, or any part of it; by level, text, expression, time and step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from app import address, log_search
from app.log_view import log_view
from app.page import trouble
from app.sizes import bytes_text
from app.words import _, say
from platform_core.errors import Problem, Text, text
from platform_core.jobs.store import Job
from platform_core.logs.lines import LEVELS, Level
from platform_core.logs.page import Query, Tail
from platform_core.logs.places import find_place

BESIDE = ("0", "2", "5", "20")
NAMES: dict[Level, Text] = {
    "debug": text("All"),
    "info": text("Info"),
    "warning": text("Warnings"),
    "error": text("Errors"),
}
AT, GOTO, REFUSED, KEPT = "at", "log.goto", "log.refused", "log.kept"


def log_panel(job: Job, path: Path | None, metrics: Path) -> None:
    """Level, search, places, download and the lines. Raises OSError when the log can't be read."""
    query = controls(job, path, metrics)
    if path is None:
        log_view([], "none", key=f"log.{job.id}", empty=_("No log yet: it begins with the job's first attempt."))
        return
    refused = st.session_state.get(REFUSED)
    if refused is not None and refused[0] == path:
        trouble(refused[1])
    at = st.query_params.get(AT, "")
    try:
        found = read(job, path, query, at)
    except Problem as problem:
        trouble(problem)
        return
    if log_search.goes_on(found, at):
        st.fragment(search_on, run_every=log_search.EVERY, key="log-searching")(job, path, query, at)
        st.empty()  # where the steps were: they are not for while it searches
    else:
        lines(job, found, query, at, nothing(found, query))
        steps(found, query, at)


def lines(job: Job, found: Tail, query: Query, at: str, empty: str) -> None:
    """The lines that were found."""
    stamp = f"{job.attempt}:{found.size if not at else ''}:{found.read_from}:{found.read_to}:{query}:{at}"
    log_view(
        found.lines, stamp, key=f"log.{job.id}", empty=empty, place=f"{at}:{query}",
        from_top=at.isdigit(),
    )  # fmt: skip


def search_on(job: Job, path: Path, query: Query, at: str) -> None:
    """Search one slice more, and show what was found so far."""
    asked, found, fresh = st.session_state[KEPT]
    if not fresh and log_search.goes_on(found, at):
        try:
            found = log_search.go_on(found, path, query, at)
        except OSError:  # the page itself says what is wrong with the log
            log_search.stop()
    st.session_state[KEPT] = asked, found, False
    if not log_search.goes_on(found, at):
        st.rerun()
    lines(job, found, query, at, "")
    log_search.progress(found, at)


def controls(job: Job, path: Path | None, metrics: Path) -> Query:
    """What is looked for, and where; every choice stands in the address."""
    with st.container(horizontal=True, vertical_alignment="center", key="log-controls"):
        level = address.chosen("level", LEVELS, "debug")
        st.segmented_control(
            _("Level"), list(LEVELS), required=True, key="level", on_change=changed, args=("level", "debug"),
            format_func=lambda name: say(NAMES[name]), label_visibility="collapsed",
        )  # fmt: skip
        search = address.typed("find")
        st.text_input(
            _("Search the log"), key="find", type="search", placeholder=_("Search the log"), width=190,
            on_change=changed, args=("find", ""), label_visibility="collapsed",
        )  # fmt: skip
        kinds = {"text": _("Text"), "regex": _("Regular expression")}
        how = address.chosen("as", list(kinds), "text")
        st.selectbox(
            _("Search for a"), list(kinds), key="as", on_change=changed, args=("as", "text"), width=150,
            format_func=lambda name: kinds[name], label_visibility="collapsed",
        )  # fmt: skip
        beside = address.chosen("beside", BESIDE, "0")
        st.selectbox(
            _("Lines beside"), BESIDE, key="beside", on_change=changed, args=("beside", "0"), width=150,
            format_func=lambda n: _("With {n} lines beside", n=n) if n != "0" else _("No lines beside"),
            label_visibility="collapsed",
        )  # fmt: skip
        if path is not None:
            st.text_input(
                _("Go to a time or step"), key=GOTO, placeholder=_("Go to 12:31 or step 340"), width=165,
                on_change=go_to, args=(path, metrics), label_visibility="collapsed",
            )  # fmt: skip
            st.link_button(_("Download"), f"/api/jobs/{job.id}/log", icon=":material/download:", key="log.download")
    exact: Level = next(name for name in LEVELS if name == level)
    return Query(exact, search, how == "regex", int(beside) if search or exact != "debug" else 0)


def changed(name: str, default: str) -> None:
    """Another search begins at the newest line."""
    address.keep(name, default)
    show_at("")


def show_at(place: str) -> None:
    """Put a place into the address: a byte to read on from, "-" and a byte to read before, or nothing for the end."""
    st.session_state[REFUSED] = None
    log_search.stop()
    if place:
        st.query_params[AT] = place
    else:
        st.query_params.pop(AT, None)


def go_to(path: Path, metrics: Path) -> None:
    """Show the log from the time or step that was typed."""
    asked = str(st.session_state[GOTO]).strip()
    try:
        show_at(str(find_place(path, metrics, asked)) if asked else "")
    except Problem as problem:
        st.session_state[REFUSED] = path, problem


def read(job: Job, path: Path, query: Query, at: str) -> Tail:
    """The lines at a place; nothing is read again unless the log has grown where they end."""
    size = path.stat().st_size
    asked = (job.id, job.attempt, query, at)
    kept = st.session_state.get(KEPT)
    if kept is None or kept[0] != asked or (kept[1].read_to >= kept[1].size != size):
        kept = (asked, log_search.look(path, query, at), True)
        st.session_state[KEPT] = kept
    found: Tail = kept[1]
    return replace(found, size=max(size, found.size))


def steps(found: Tail, query: Query, at: str) -> None:
    """How much of the log is shown, and the ways to the rest of it."""
    with st.container(horizontal=True, vertical_alignment="center", key="log-steps"):
        st.caption(coverage(found), width="stretch")
        st.button(
            _("Older"), icon=":material/arrow_upward:", key="log.older", disabled=found.read_from == 0,
            on_click=go, args=(f"-{found.read_from}", query),
        )  # fmt: skip
        st.button(
            _("Newer"), icon=":material/arrow_downward:", key="log.newer",
            disabled=not at or found.read_to >= found.size, on_click=go, args=(str(found.read_to), query),
        )  # fmt: skip
        st.button(
            _("Newest"), icon=":material/vertical_align_bottom:", key="log.newest", disabled=not at,
            on_click=show_at, args=("",),
        )  # fmt: skip


def go(place: str, query: Query) -> None:
    """Show a place; a search goes on from there until it has found something worth a page, or is stopped."""
    show_at(place)
    st.session_state[log_search.ON] = query.filters()


def coverage(found: Tail) -> str:
    """How much of the log is shown."""
    size = bytes_text(found.size)
    if found.complete:
        return _("{n} lines · the whole log of {size}", n=len(found.lines), size=size)
    if found.late:
        return _(
            "{n} lines · the search took too long at one line: make it simpler, or go on past it", n=len(found.lines)
        )
    if found.read_to >= found.size and len(found.lines) >= log_search.LINES:
        return _("The newest {n} lines · the log has {size}", n=len(found.lines), size=size)
    return _(
        "{n} lines between {start} and {end} of {size}",
        n=len(found.lines),
        start=bytes_text(found.read_from),
        end=bytes_text(found.read_to),
        size=size,
    )


def nothing(found: Tail, query: Query) -> str:
    """What an empty box says."""
    if not found.complete and found.size:
        part = bytes_text(found.read_to - found.read_from)
        return _("Nothing in these {part} of the log: go on with Older or Newer.", part=part)
    if query.search:
        return _("No line holds “{search}”.", search=query.search)
    if query.level in ("warning", "error"):
        return _("No warnings.") if query.level == "warning" else _("No errors.")
    return _("The log is empty so far.")

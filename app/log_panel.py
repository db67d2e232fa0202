"""A job's log on its page: the newest lines by level and search, and the whole of it as a file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.log_view import log_view
from app.sizes import bytes_text
from app.words import _, say
from platform_core.errors import Text, text
from platform_core.jobs.logs import LEVELS, Level, Tail, tail
from platform_core.jobs.store import Job

LINES = 500
NAMES: dict[Level, Text] = {
    "debug": text("All"),
    "info": text("Info"),
    "warning": text("Warnings"),
    "error": text("Errors"),
}


def log_panel(job: Job, path: Path | None) -> None:
    """Level, search, download and the lines. Raises OSError when the log can't be read."""
    with st.container(horizontal=True, vertical_alignment="center", key="log-controls"):
        level: Level = st.segmented_control(
            _("Level"), list(LEVELS), default="debug", required=True, key="log.level",
            format_func=lambda name: say(NAMES[name]), label_visibility="collapsed",
        ) or "debug"  # fmt: skip
        search = st.text_input(
            _("Search the log"), key="log.search", type="search", placeholder=_("Search the log"), live=True,
            label_visibility="collapsed",
        )  # fmt: skip
        if path is not None:
            st.link_button(_("Download"), f"/api/jobs/{job.id}/log", icon=":material/download:", key="log.download")
    if path is None:
        log_view([], "none", key=f"log.{job.id}", empty=_("No log yet: it begins with the job's first attempt."))
        return
    found = read(job, path, level, search or "")
    stamp = f"{job.attempt}:{found.size}:{level}:{search}"
    log_view(found.lines, stamp, key=f"log.{job.id}", empty=nothing(found, level, search or ""))
    st.caption(coverage(found))


def read(job: Job, path: Path, level: Level, search: str) -> Tail:
    """The newest lines; a search is not done again while the log has not grown."""
    asked = (job.id, job.attempt, path.stat().st_size, level, search)
    kept = st.session_state.get("log.kept")
    if kept is None or kept[0] != asked:
        kept = (asked, tail(path, LINES, level, search))
        st.session_state["log.kept"] = kept
    found: Tail = kept[1]
    return found


def coverage(found: Tail) -> str:
    """How much of the log is shown."""
    if found.complete:
        return _("{n} lines · the whole log of {size}", n=len(found.lines), size=bytes_text(found.size))
    if len(found.lines) >= LINES:
        return _("The newest {n} lines · the log has {size}", n=len(found.lines), size=bytes_text(found.size))
    return _(
        "{n} lines of the newest {part} · the log has {size}; download it for the rest",
        n=len(found.lines),
        part=bytes_text(found.size - found.read_from),
        size=bytes_text(found.size),
    )


def nothing(found: Tail, level: Level, search: str) -> str:
    """What an empty box says."""
    if search:
        return _("No line holds “{search}”.", search=search)
    if level in ("warning", "error"):
        return _("No warnings." if level == "warning" else "No errors.")
    return _("The log is empty so far.")

"""A search that goes on over a long log, slice by slice, until a page is full, the log has ended, or it is stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from app.page import plain
from app.sizes import bytes_text
from app.words import _
from platform_core.logs.lines import Line
from platform_core.logs.page import Query, Tail, ahead, tail

LINES = 500
SECONDS = 0.2
"""How long one drawing of the page searches; what it has not reached by then comes with the next."""
EVERY = 0.25
ON = "log.on"


def look(path: Path, query: Query, at: str, lines: int = LINES) -> Tail:
    """What one slice finds from a place on: a byte to read on from, "-" and a byte to read before, or the end."""
    if at.isdigit():
        return ahead(path, int(at), lines, query, seconds=SECONDS)
    before = int(at[1:]) if at.startswith("-") and at[1:].isdigit() else None
    return tail(
        path, lines, query.level, query.search, regex=query.regex, context=query.context, before=before,
        seconds=SECONDS,
    )  # fmt: skip


def goes_on(found: Tail, at: str) -> bool:
    """Whether a search that was begun has not yet found a page of lines and has more of the log to look at."""
    ended = found.read_to >= found.size if at.isdigit() else found.read_from == 0
    return bool(st.session_state.get(ON)) and not (ended or found.late or count(found) >= LINES)


def go_on(found: Tail, path: Path, query: Query, at: str) -> Tail:
    """The same with what the next slice finds. Raises OSError."""
    wanted = LINES - count(found)
    if at.isdigit():
        more = look(path, query, str(found.read_to), wanted)
        return replace(
            found, lines=_joined(found.lines, more.lines), read_to=more.read_to, size=more.size, late=more.late
        )
    more = look(path, query, f"-{found.read_from}", wanted)
    return replace(
        found, lines=_joined(more.lines, found.lines), read_from=more.read_from, size=more.size, late=more.late
    )


def count(found: Tail) -> int:
    """Lines that fit, those beside them left out."""
    return sum(not line.context for line in found.lines)


def progress(found: Tail, at: str) -> None:
    """How far the search is, and the way to end it."""
    start = int(at) if at.isdigit() else found.read_from
    whole = found.size - start if at.isdigit() else found.read_to
    done = found.read_to - found.read_from
    with st.container(horizontal=True, vertical_alignment="center", key="log-search"):
        said = _(
            "Searching: {n} lines found, {done} of {whole} looked through",
            n=count(found),
            done=bytes_text(done),
            whole=bytes_text(whole),
        )
        st.progress(min(1.0, done / max(1, whole)), plain(said))
        st.button(_("Stop"), icon=":material/close:", key="log.stop", on_click=stop)


def stop() -> None:
    st.session_state[ON] = False


def _joined(earlier: list[Line], later: list[Line]) -> list[Line]:
    if earlier and later and later[0].at > earlier[-1].end:
        later = [replace(later[0], gap=True), *later[1:]]
    return [*earlier, *later]

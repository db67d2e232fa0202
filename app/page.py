"""What every page is made of: its head, the one trouble callout, an empty state, ways to other pages."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import streamlit as st

from app.words import say
from platform_core.errors import Problem, Text
from platform_core.ids import new_id
from platform_core.root import ROOT
from platform_core.settings import home_folder
from platform_core.workspace.service import Workspace, open_workspace

log = logging.getLogger("lathe.page")

PAGES = ROOT / "pages"
BUSY_SECONDS = 5.0
# What Markdown makes a link of even when it is escaped; an invisible word joiner behind it keeps it text
ADDRESS = re.compile(r"https?:(?=//)|www(?=\.)|@", re.IGNORECASE)
# What can begin or end markup. Labels are read out with their backslashes, so that none stands where none is needed:
# brackets are harmless behind an escaped "]", dashes and points inside of a word
MARKUP = re.compile(r"([\\`*_{}\[\]#+|<>~$:^=&]|(?<!\w)[-.]|[-.](?!\w)|(?<=^\d)\)|(?<=^\d\d)\))")


@dataclass(frozen=True)
class Door:
    """A way out of an empty page: where it leads and what is behind it."""

    title: str
    line: str
    icon: str
    page: str = ""
    query: tuple[tuple[str, str], ...] = ()
    do: Callable[[], None] | None = None
    primary: bool = False


def workspace() -> Workspace:
    """The workspace of this server; a page waits at most five seconds for its database. Raises Problem."""
    return open_workspace(home_folder(), BUSY_SECONDS)


def plain(value: object) -> str:
    """A person's text for a place that reads Markdown (labels, captions, titles): shown as it is, never as markup."""
    text = re.sub(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]+", " ", str(value))
    return MARKUP.sub(r"\\\1", ADDRESS.sub("\\g<0>\u2060", text))


def page_file(name: str) -> Path:
    """The script of a page, for `st.page_link`."""
    return PAGES / f"{name.replace('-', '_')}.py"


def go(name: str, /, **query: str) -> NoReturn:
    """Leave for another page, e.g. `go("monitor", job=id)`."""
    st.switch_page(page_file(name), query_params=query)


def link(name: str, label: str, icon: str | None = None, /, **query: str) -> None:
    """A link to another page, if this installation has it; `label` may hold a person's text."""
    if page_file(name).is_file():
        st.page_link(
            page_file(name), label=plain(label), icon=f":material/{icon}:" if icon else None, query_params=query
        )


def header(title: str, line: str, beside: Callable[[], None] | None = None) -> Any:
    """The head of a page: title and one line that says what it is for; returns the place of its primary action.

    `beside` draws small things at the end of the line.
    """
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="page-header"
    ):
        with st.container(gap="xxsmall", width="content", key="page-title"):
            st.title(plain(title), anchor=False)
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key="page-line"):
                st.caption(line, width="content")
                if beside is not None:
                    beside()
        return st.container(
            horizontal=True,
            horizontal_alignment="right",
            vertical_alignment="center",
            width="content",
            key="page-action",
        )


def trouble(problem: Problem | Text) -> None:
    """The one callout for what went wrong."""
    with st.container(key=f"trouble-{new_id()}"):
        st.error(plain(say(problem)), icon=":material/error:")


def unexpected(error: BaseException) -> Problem:
    """A sentence for an error that nobody foresaw; the trace goes to the server's log under the same id."""
    incident = new_id()
    log.error("incident %s", incident, exc_info=error)
    return Problem(
        "This part of the page broke ({kind}). The rest goes on; the server's log has the details under {id}.",
        kind=type(error).__name__,
        id=incident,
    )


def as_problem(error: Exception) -> Problem:
    """Any exception as a sentence for people."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError):
        log.warning("%s", error, exc_info=error)
        return Problem(
            "{path} can't be read or written: {reason}.",
            path=str(error.filename or home_folder()),
            reason=error.strerror or str(error),
        )
    return unexpected(error)


def script_error(error: Exception) -> bool:
    """The last net under scripts, callbacks and fragments: the callout instead of Streamlit's own box."""
    trouble(as_problem(error))
    return True


@contextmanager
def guarded() -> Iterator[None]:
    """Around a part of a page: its failure shows as a callout and leaves the rest working."""
    try:
        yield
    except Exception as error:
        trouble(as_problem(error))


def empty_state(title: str, line: str, doors: Sequence[Door]) -> None:
    """What stands where there is nothing yet: one sentence, and the ways to have something."""
    with st.container(key="empty-state", gap="small"):
        st.subheader(title, anchor=False)
        st.caption(line)
        columns = st.columns(max(3, len(doors)), gap="medium")
    for column, door in zip(columns, doors, strict=False):
        with column, st.container(border=True, height="stretch", key=f"door-{door.icon}"):
            st.markdown(f":material/{door.icon}: **{plain(door.title)}**")
            st.caption(plain(door.line))
            label = door.title
            if st.button(
                label, key=f"door-go-{door.icon}", type="primary" if door.primary else "secondary", width="stretch"
            ):
                if door.do is not None:
                    door.do()
                else:
                    go(door.page, **dict(door.query))


def card(key: str) -> Any:
    """A bordered box whose one button is pressed wherever the box is pressed."""
    return st.container(border=True, key=f"card-{key}", gap="xxsmall", height="stretch")


def fact_grid(facts: Sequence[tuple[str, str]], columns: int = 2) -> None:
    """Short facts, label above value, that fold into fewer columns where it is narrow."""
    with st.grid(columns, min_column_width=130, gap=("xsmall", "small")):
        for label, value in facts:
            with st.container(gap=None):
                st.caption(plain(label))
                st.markdown(plain(value))

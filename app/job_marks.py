"""What people mark jobs with: star, tags, note, archive, group; each change with a way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import streamlit as st

from app.job_actions import UNDO_SECONDS, do
from app.page import as_problem, plain, trouble
from app.words import _
from platform_core.clock import now
from platform_core.jobs import organize
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

BEFORE = "marks.before"
TYPED_TAG, TYPED_GROUP = "marks.tag", "marks.group"
Mark = Callable[[Workspace, str], Job]


def mark(workspace: Workspace, verb: Mark, chosen: Sequence[Job], said: str) -> None:
    """Do the same to each job, and remember how they were; `said` tells what was done."""
    done = {job.id for job in do(workspace, verb, chosen)}
    before = [job for job in chosen if job.id in done]
    if before:
        st.session_state[BEFORE] = (now(), before, said)


def mark_menu(
    workspace: Workspace, chosen: Sequence[Job], look: Literal["secondary", "tertiary"] = "secondary"
) -> None:
    """Star, tags, group and archive for all chosen jobs."""
    with st.popover(
        _("Mark"), icon=":material/label:", disabled=not chosen, key="act.mark", on_change="rerun", type=look
    ) as opened:
        if not opened.open or not chosen:
            return
        starred, archived = all(j.starred for j in chosen), all(j.archived_at is not None for j in chosen)
        if st.button(
            _("Take the star off") if starred else _("Put a star on"), icon=":material/star:", width="stretch",
            key="mark.star",
        ):  # fmt: skip
            after(workspace, lambda w, i: organize.star(w, i, not starred), chosen, _("Stars are set."))
        if st.button(
            _("Out of the archive") if archived else _("To the archive"), icon=":material/archive:", width="stretch",
            key="mark.archive", help=_("Hidden from the lists; nothing is deleted, and it goes on as it is."),
        ):  # fmt: skip
            said = _("{n} jobs are in the lists again.", n=len(chosen)) if archived else _(
                "{n} jobs are in the archive.", n=len(chosen)
            )  # fmt: skip
            after(workspace, lambda w, i: organize.archive(w, i, not archived), chosen, said)
        tag_form(workspace, chosen)
        group_form(workspace, chosen)


def tag_form(workspace: Workspace, chosen: Sequence[Job]) -> None:
    """Add a tag, or remove one that is there."""
    with st.form("mark.tag.form", border=False, clear_on_submit=True):
        typed = st.text_input(_("Add tags"), key=TYPED_TAG, placeholder=_("baseline, lr-sweep"), max_chars=200)
        sent = st.form_submit_button(_("Add"), icon=":material/add:", key="mark.tag.add")
    if sent and typed.strip():
        tags = [part for part in typed.split(",") if part.strip()]
        after(workspace, lambda w, i: organize.tag(w, i, tags), chosen, _("Tags are added."))
    there = sorted({tag for job in chosen for tag in job.tags})
    if there:
        gone = st.pills(_("Remove a tag"), there, key="mark.untag", format_func=plain)
        if gone:
            after(workspace, lambda w, i: organize.tag(w, i, [], [gone]), chosen, _("The tag is removed."))


def group_form(workspace: Workspace, chosen: Sequence[Job]) -> None:
    """Put the jobs into a group."""
    with st.form("mark.group.form", border=False, clear_on_submit=True):
        typed = st.text_input(
            _("Group"), key=TYPED_GROUP, max_chars=organize.LONGEST_GROUP,
            help=_("Jobs of one group are found and compared together; empty takes them out of theirs."),
        )  # fmt: skip
        if st.form_submit_button(_("Set the group"), key="mark.group.set"):
            after(workspace, lambda w, i: organize.set_group(w, i, typed), chosen, _("The group is set."))


def after(workspace: Workspace, verb: Mark, chosen: Sequence[Job], said: str) -> None:
    """Do it, then draw the page as it is now."""
    mark(workspace, verb, chosen, said)
    st.rerun()


def marks_undo_bar(workspace: Workspace) -> None:
    """What was just marked, with the way back."""
    at, before, said = st.session_state.get(BEFORE, (0.0, [], ""))
    if not before or now() - at > UNDO_SECONDS:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="marks-undo"):
        st.markdown(f":material/label: {plain(said)}", width="stretch")
        if st.button(_("Undo"), icon=":material/undo:", key="marks.undo", type="primary"):
            st.session_state.pop(BEFORE)
            kept = {job.id: job for job in before}
            do(workspace, lambda w, i: organize.put_back(w, kept[i]), before)
            st.rerun()
        if st.button(_("Dismiss"), key="marks.undo.close", type="tertiary"):
            st.session_state.pop(BEFORE)
            st.rerun()


def mark_line(workspace: Workspace, job: Job) -> None:
    """A job's star, tags, group and note in one line, each to be changed."""
    star = _("Take the star off") if job.starred else _("Put a star on")
    icon = ":material/star:" if job.starred else ":material/star_border:"
    if st.button(star, icon=icon, key="marks.star", type="tertiary"):
        after(workspace, lambda w, i: organize.star(w, i, not job.starred), [job], _("Stars are set."))
    for tag in job.tags:
        st.badge(plain(tag), color="gray")
    if job.archived_at is not None:
        st.badge(_("archived"), icon=":material/archive:", color="gray")
    mark_menu(workspace, [job], "tertiary")
    with st.popover(
        _("Note"), icon=":material/edit_note:", key="marks.note", on_change="rerun", type="tertiary"
    ) as opened:
        if opened.open:
            note_form(workspace, job)


def note(job: Job) -> None:
    """What somebody wrote about the job, as plain text."""
    if job.note:
        st.text(job.note)


def note_form(workspace: Workspace, job: Job) -> None:
    """The note to be written."""
    with st.form(f"note.{job.id}", border=False):
        typed = st.text_area(_("Note"), job.note or "", max_chars=organize.LONGEST_NOTE, height=160, key="marks.typed")
        sent = st.form_submit_button(_("Save the note"), type="primary", key="marks.note.save")
    if sent:
        try:
            organize.write_note(workspace, job.id, typed)
        except Exception as error:
            trouble(as_problem(error))
            return
        st.session_state[BEFORE] = (now(), [job], _("The note is saved."))
        st.rerun()

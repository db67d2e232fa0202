"""What can be done with jobs, the same on every page: start, stop, clone, delete with a way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app.page import as_problem, go, plain, trouble
from app.sizes import bytes_text
from app.words import _
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.files import folder_size
from platform_core.jobs import service as jobs
from platform_core.jobs.states import DELETABLE, STARTABLE, STOPPABLE
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

UNDO, REFUSED = "jobs.undo", "jobs.refused"
UNDO_SECONDS = 600.0
NAMED = 3
Verb = Callable[[Workspace, str], Job]


def do(workspace: Workspace, verb: Verb, chosen: Sequence[Job]) -> list[Job]:
    """Do the same to each job; what is refused is kept, to be said by `refusals`."""
    done, refused = [], []
    for job in chosen:
        try:
            done.append(verb(workspace, job.id))
        except Exception as error:
            refused.append(as_problem(error))
    st.session_state[REFUSED] = refused
    return done


def refusals() -> None:
    """Say what the last action could not do."""
    for problem in st.session_state.pop(REFUSED, []):
        trouble(problem)


def start_button(workspace: Workspace, chosen: Sequence[Job], label: str, primary: bool = True) -> None:
    """Put jobs into the queue; pressed twice it is the same."""
    possible = [job for job in chosen if job.state in STARTABLE]
    if st.button(
        label,
        icon=":material/play_arrow:",
        type="primary" if primary else "secondary",
        disabled=not possible,
        key="act.start",
    ):
        do(workspace, jobs.start, possible)
        st.rerun()


def trains(job: Job) -> bool:
    """Whether the job trains a model, as far as this version knows its kind."""
    kind = algorithms().get(job.kind)
    return kind is not None and kind.role == "train"


def pause_button(workspace: Workspace, chosen: Sequence[Job]) -> None:
    """Ask trainings to save where they are and free their memory; drawn where one of them runs."""
    possible = [job for job in chosen if job.state == "running" and trains(job)]
    if possible and st.button(
        _("Pause"),
        icon=":material/pause:",
        key="act.pause",
        help=_("Saves a checkpoint after the current step and frees the memory; it goes on exactly from there."),
    ):
        do(workspace, jobs.pause, possible)
        st.rerun()


def stop_button(workspace: Workspace, chosen: Sequence[Job]) -> None:
    """Ask jobs to stop; they save a checkpoint first."""
    possible = [job for job in chosen if job.state in STOPPABLE]
    if st.button(
        _("Stop"),
        icon=":material/stop:",
        disabled=not possible,
        key="act.stop",
        help=_("Ends after the current step and a checkpoint; it can go on from there."),
    ):
        do(workspace, jobs.stop, possible)
        st.rerun()


def evaluate_button(job: Job) -> None:
    """Open the form that judges what a training made: what people want next."""
    makes_writer = trains(job) and algorithms()[job.kind].makes == "model"
    if makes_writer and st.button(_("Evaluate it"), icon=":material/fact_check:", type="primary", key="act.evaluate"):
        go("new-job", kind="evaluate", model=f"job:{job.id}")


def clone_button(chosen: Sequence[Job]) -> None:
    """Open the form of a new job with the settings of this one."""
    if st.button(
        _("Clone"),
        icon=":material/content_copy:",
        disabled=len(chosen) != 1,
        key="act.clone",
        help=_("A new job with the same settings, to be changed before it starts."),
    ):
        go("new-job", clone=chosen[0].id)


def delete_button(workspace: Workspace, chosen: Sequence[Job], leave: bool = False) -> None:
    """Delete after a sentence that says what goes and how it comes back; `leave` goes on to the list of jobs."""
    possible = [job for job in chosen if job.state in DELETABLE]
    with st.popover(
        _("Delete"), icon=":material/delete:", disabled=not possible, key="act.delete", on_change="rerun"
    ) as opened:
        if not opened.open or not possible:
            return
        st.markdown(f"**{plain(question(possible))}**")
        size = sum(folder_size(workspace.job_folder(job.id)) for job in possible)
        st.caption(
            _(
                "Log, metrics, checkpoints and output ({size}) go to the trash. Jobs → Trash brings them back.",
                size=bytes_text(size),
            )
        )
        sure = st.button(_("Move to trash"), icon=":material/delete:", key="act.delete.sure", width="stretch")
    if sure:
        done = do(workspace, jobs.delete, possible)
        if done:
            st.session_state[UNDO] = (now(), done)
        if leave and done:
            go("jobs")
        st.rerun()


def question(chosen: Sequence[Job]) -> str:
    """What is about to be deleted, by name."""
    if len(chosen) == 1:
        return _("Delete “{name}”?", name=chosen[0].name)
    names = ", ".join(f"“{job.name}”" for job in chosen[:NAMED])
    return _("Delete {n} jobs ({names} …)?", n=len(chosen), names=names)


def undo_bar(workspace: Workspace) -> None:
    """What was just deleted, with the way back, for ten minutes."""
    at, gone = st.session_state.get(UNDO, (0.0, []))
    if not gone or now() - at > UNDO_SECONDS:
        return
    said = (
        _("“{name}” is in the trash.", name=gone[0].name)
        if len(gone) == 1
        else _("{n} jobs are in the trash.", n=len(gone))
    )
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="undo"):
        st.markdown(f":material/delete: {plain(said)}", width="stretch")
        if st.button(_("Undo"), icon=":material/undo:", key="act.undo", type="primary"):
            st.session_state.pop(UNDO)
            do(workspace, jobs.restore, gone)
            st.rerun()
        if st.button(_("Dismiss"), key="act.undo.close", type="tertiary"):
            st.session_state.pop(UNDO)
            st.rerun()


def unknown_job(problem: Problem) -> None:
    """Where a job that was asked for is not there: the sentence, and ways on."""
    trouble(problem)
    with st.container(horizontal=True):
        if st.button(_("See all jobs"), icon=":material/list_alt:", key="act.all"):
            go("jobs")
        if st.button(_("See the trash"), icon=":material/delete:", key="act.trash"):
            go("jobs", trash="1")

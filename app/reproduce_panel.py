"""Under one button of the monitor: prove that a training resumes exactly, run it again, take it along."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.job_actions import trains
from app.page import as_problem, go, link, plain, trouble
from app.sizes import bytes_text
from app.words import _, say
from platform_core.jobs import again, export, supervision, verify
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

CHANGED, MADE = "reproduce.changed", "reproduce.made"
LARGEST_DOWNLOAD = 64 << 20
"""Bytes of an archive that is offered in the browser: Streamlit keeps it in the server's memory."""


def reproduce_button(workspace: Workspace, job: Job) -> None:
    """The ways to trust and to repeat a job that has run; nothing before that."""
    if not job.attempt:
        return
    with st.popover(
        _("Reproduce"),
        icon=":material/verified:",
        key="act.reproduce",
        on_change="rerun",
        help=_("Prove exact resume, run it again exactly, or export it."),
    ) as opened:
        if not opened.open:
            return
        if trains(job):
            prove(workspace, job)
        repeat(workspace, job)
        if export.can_export(job):
            take_along(workspace, job)


def verdict_box(found: verify.Verdict) -> None:
    """What a proof found, as a sentence."""
    if not found.identical:
        st.error(plain(_("Not exact: {difference}.", difference=found.difference)), icon=":material/error:")
        return
    st.success(
        _(
            "Proved: {steps} steps with and without a pause are identical ({points} points, {tensors} tensors).",
            steps=found.steps,
            points=f"{found.points:,}",
            tensors=found.tensors,
        ),
        icon=":material/verified:",
    )


def proof_result(job: Job) -> None:
    """The verdict of a job that is a proof; nothing for any other."""
    found = verify.verdict(job) if job.kind == verify.KIND else None
    if found is not None:
        verdict_box(found)
        link("monitor", _("See the job that it is about"), "monitoring", job=str(job.spec["job"]))


def prove(workspace: Workspace, job: Job) -> None:
    """The last proof's verdict, and the button that asks for a new one."""
    st.markdown(f"**{_('Exact resume')}**")
    last = verify.latest(workspace, job)
    found = verify.verdict(last) if last is not None else None
    if found is not None:
        verdict_box(found)
    elif last is None:
        st.caption(_("Runs the first steps with and without a pause and compares every bit. This job is not touched."))
    if last is not None:
        link("monitor", _("See the proof"), "verified", job=last.id)
    if st.button(_("Prove exact resume"), icon=":material/rule:", key="reproduce.prove"):
        try:
            proof = verify.create(workspace, job.id)
            supervision.ensure(workspace.home)
        except Exception as error:
            trouble(as_problem(error))
            return
        go("monitor", job=proof.id)


def repeat(workspace: Workspace, job: Job) -> None:
    """Run the same again; where an input has changed, say which, and ask."""
    st.markdown(f"**{_('Run again exactly')}**")
    st.caption(_("The same settings in a new job, once its inputs are found to be the same to the bit."))
    of, changed = st.session_state.get(CHANGED, ("", []))
    anyway = of == job.id
    for sentence in changed if anyway else []:
        st.warning(plain(say(sentence)))
    label = _("Run it anyway") if anyway else _("Run again exactly")
    if not st.button(label, icon=":material/replay:", key="reproduce.again"):
        return
    try:
        with st.spinner(_("Comparing the inputs …")):
            found = [] if anyway else again.differences(workspace, job.id).inputs
            if found:
                st.session_state[CHANGED] = (job.id, found)
                st.rerun()
            new, different = again.again(workspace, job.id, anyway=anyway)
        supervision.ensure(workspace.home)
    except Exception as error:
        trouble(as_problem(error))
        return
    st.session_state.pop(CHANGED, None)
    for sentence in different:
        st.toast(plain(say(sentence)), icon=":material/info:")
    go("monitor", job=new.id)


def take_along(workspace: Workspace, job: Job) -> None:
    """Make an export, then offer it."""
    st.markdown(f"**{_('Export')}**")
    st.caption(_("A folder with train.py that trains the same without the platform."))
    with_data = st.checkbox(_("With dataset and start model"), key="reproduce.data")
    if st.button(_("Make the export"), icon=":material/folder_zip:", key="reproduce.export"):
        try:
            with st.spinner(_("Making the export …")):
                made = export.export(workspace, job.id, with_data=with_data, archive=True)
        except Exception as error:
            trouble(as_problem(error))
            return
        st.session_state[MADE] = (job.id, str(made.archive))
    of, archive = st.session_state.get(MADE, ("", ""))
    if of != job.id or not Path(archive).is_file():
        return
    path = Path(archive)
    st.caption(plain(_("It is in {folder}.", folder=str(path.with_suffix("")))))
    size = path.stat().st_size
    if size <= LARGEST_DOWNLOAD:
        st.download_button(
            _("Download ({size})", size=bytes_text(size)),
            data=path.read_bytes(),
            file_name=path.name,
            mime="application/zip",
            icon=":material/download:",
            key="reproduce.download",
        )

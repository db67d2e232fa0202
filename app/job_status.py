"""Where a job stands: the facts in a row, its progress, what it waits for, why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from app.format import UNKNOWN, duration, number, remaining, share
from app.page import guarded, link, plain, trouble
from app.page import workspace as place
from app.shared import shared
from app.state import badge, word
from app.words import _, say
from platform_core.clock import now
from platform_core.errors import Text, text
from platform_core.hosts.history import indexes
from platform_core.jobs import service as jobs
from platform_core.jobs import supervision
from platform_core.jobs.cost import cost
from platform_core.jobs.progress import seconds_taken
from platform_core.jobs.states import ACTIVE
from platform_core.jobs.store import Job
from platform_core.jobs.utilization import utilization
from platform_core.metrics.forecast import seconds_left
from platform_core.metrics.reader import Reader
from platform_core.options import service as options
from platform_core.queue import ordering
from platform_core.workspace.service import Workspace

PHASES: dict[str, Text] = {
    "starting": text("Starting"),
    "reading the data": text("Reading the data"),
    "loading the model": text("Loading the model"),
    "first batch": text("First batch"),
    "answering": text("The teacher answers"),
    "tokenizing": text("Tokenizing"),
    "measuring": text("Measuring"),
    "saving": text("Saving"),
}
COLUMNS = 6
SPEEDS = {"tokens_per_second": text("Tokens/s"), "samples_per_second": text("Samples/s")}


def live_progress(job: Job, run: Reader | None) -> dict[str, Any]:
    """What the runner last told, fresher than the job's row; nothing of an earlier attempt."""
    found: dict[str, Any] = dict(run.progress()) if run is not None else {}
    told = found.get("updated_at")
    if job.state in ACTIVE and isinstance(told, float) and told < (job.started_at or 0.0):
        return dict(job.progress)
    return {**job.progress, **found}


def status(job: Job, path: Path) -> None:
    """State, step, epoch, time and speed in one row, the progress below."""
    with Reader(path) as run:
        progress = live_progress(job, run)
        latest = run.latest()
        forecast = left(job, run, progress)
    found = facts(job, progress, {name: value for name, (_step, value) in latest.items()}, forecast)
    found += gpus(job) + price(job)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="status"):
        badge(job)
        with st.grid(max(len(found), COLUMNS), min_column_width=96, gap=("xsmall", "medium"), key="facts"):
            for label, value in found:
                with st.container(gap=None):
                    st.caption(label)
                    st.markdown(plain(value))
    if job.state != "completed":
        st.progress(done_share(job, progress))


def facts(job: Job, progress: Mapping[str, Any], latest: Mapping[str, float], forecast: str) -> list[tuple[str, str]]:
    """Label and value of what is known of a job's course."""
    seconds = seconds_taken(job)
    found = [(_("Step"), steps(progress))]
    epoch = progress.get("epoch")
    if isinstance(epoch, int | float):
        found.append((_("Epoch"), f"{epoch:.2f}"))
    if seconds is not None:
        found.append((_("Elapsed"), duration(seconds)))
    if job.state in ACTIVE:
        found.append((_("Remaining"), forecast))
    found += [(say(SPEEDS[name]), number(latest[name], 3)) for name in SPEEDS if name in latest]
    tokens = progress.get("tokens") or latest.get("num_tokens")
    if isinstance(tokens, int | float) and tokens:
        found.append((_("Tokens seen"), number(int(tokens))))
    used = utilization(job.kind, progress, latest.get("tokens_per_second"))
    if used is not None:
        found.append((_("MFU"), share(used)))
    return found


def gpus(job: Job) -> list[tuple[str, str]]:
    """Which GPUs its newest attempt has or had; nothing for a job without."""
    if not job.gpus or not job.attempt:
        return []
    tried = jobs.history(place(), job.id)[0]
    held = indexes(place(), tried[-1].devices, tried[-1].host) if tried else ""
    return [(_("GPU"), held)] if held else []


def price(job: Job) -> list[tuple[str, str]]:
    """What it has cost so far; nothing without a price in the options."""
    prices, seconds = options.current(place()), seconds_taken(job)
    spent = None if seconds is None else cost(job, seconds, prices)
    return [] if spent is None else [(_("Cost so far"), f"{spent:,.2f} {prices.currency}")]


def steps(progress: Mapping[str, Any]) -> str:
    """ "340 / 1,000"."""
    step, total = progress.get("step"), progress.get("total_steps")
    if step is None:
        return UNKNOWN
    return f"{number(int(step))} / {number(int(total))}" if total else number(int(step))


def left(job: Job, run: Reader, progress: Mapping[str, Any]) -> str:
    """What is left in honest words: what is being done, or a forecast with its range."""
    phase = progress.get("phase")
    if job.state == "stopping":
        return _("ends after this step")
    if job.state == "starting" or (phase in PHASES and phase != "saving" and not progress.get("step")):
        if phase == "answering" and progress.get("answers"):
            return _("the teacher has answered {n} of {all}", n=progress.get("answered"), all=progress["answers"])
        return say(PHASES[phase]) if phase in PHASES else word("starting")
    if phase == "saving":
        return say(PHASES["saving"])
    total, since = progress.get("total_steps"), job.started_at
    if not total or since is None:
        return _("not known yet")
    found = shared(("left", job.id, job.attempt, int(total)), lambda: seconds_left(run, int(total), since, now()))
    return remaining(*found) if found is not None else _("not known yet")


def done_share(job: Job, progress: Mapping[str, Any]) -> float:
    """How much of a job is done, from 0 to 1."""
    if job.state == "completed":
        return 1.0
    step, total = progress.get("step"), progress.get("total_steps")
    return min(max(float(step) / float(total), 0.0), 1.0) if step and total else 0.0


def why(workspace: Workspace, job: Job) -> None:
    """Why a job failed, stopped or waits, with the way on; nothing for one that runs or is completed."""
    if job.state == "failed":
        trouble(job.reason or text("The runner failed without a sentence: its log has the details."))
        st.caption(_("Job {id}, attempt {n}", id=job.id, n=job.attempt))
    elif job.state in ("stopped", "paused") and job.reason is not None:
        st.info(plain(say(job.reason)), icon=":material/info:")
    elif job.state == "pending":
        st.info(_("This job has been made and waits for your start."), icon=":material/info:")
    elif job.state == "queued":
        with guarded():
            waits(workspace, job)


def waits(workspace: Workspace, job: Job) -> None:
    """Why a queued job waits, when it is likely to start, and the way to the jobs that it needs or to the queue."""
    st.info(plain(for_slots(workspace, job)), icon=":material/schedule:")
    unmet = [needed for needed in jobs.needs(workspace, job.id) if needed.state != "completed"]
    with st.container(key="waits", gap="xsmall"):
        for needed in unmet:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                link("monitor", needed.name, "arrow_forward", job=needed.id)
                badge(needed)
        link("queue", _("See the queue"), "low_priority")


def for_slots(workspace: Workspace, job: Job) -> str:
    """The sentence that says what it waits for and until when, or that there is no supervisor."""
    if not supervision.is_alive(workspace.home):
        return _("Nobody starts jobs right now: the supervisor is being started; if this stays, see Environment.")
    wait = ordering.why(workspace, job.id)
    if wait is None or wait.high < 1:
        return _("Starts within a moment.")
    return _("{why} Expected start: {time}.", why=say(wait.reason), time=say(wait.expected))

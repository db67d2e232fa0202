"""The verbs of jobs that pages, the command line and the API call.

They write wishes; the supervisor makes them true.
"""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from platform_core.algorithms.registry import algorithm, engine_of
from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.errors import Problem, text
from platform_core.files import write_whole
from platform_core.ids import is_id, new_id
from platform_core.jobs import document, store, trash
from platform_core.jobs.estimate import asks
from platform_core.jobs.examine import examine
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, references, spec_hash
from platform_core.jobs.states import DELETABLE, STARTABLE, STOPPABLE, State, word
from platform_core.jobs.store import Job
from platform_core.queue.capacity import gpus_here
from platform_core.queue.line import ran_before
from platform_core.workspace.service import Workspace


class Rejected(Problem):
    """A spec that can't become a job; `findings` say why, setting by setting."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("{sentences}", sentences=" ".join(str(f.text) for f in findings))


def create(
    workspace: Workspace,
    kind: str,
    values: Mapping[str, Any],
    *,
    name: str = "",
    engine: str = "",
    start: bool = False,
    needs: Sequence[str] = (),
    group: str | None = None,
    priority: int = 0,
    not_before: float | None = None,
    actor: str = "",
) -> Job:
    """Make a job, waiting (`pending`) or in the queue; raises Rejected with the findings when the spec can't run.

    `priority` from 2 (urgent) to -2 (idle), see `priority.rank`; `not_before` in seconds since the epoch. `engine`
    counts where the values name none.
    """
    chosen = algorithm(kind)
    if engine and "engine" in chosen.spec.model_fields:
        values = {"engine": engine, **values}
    spec, findings = examine(workspace, kind, values)
    if spec is None:
        raise Rejected([f for f in findings if f.forbids])
    engine = engine_of(chosen, spec)
    job_id, at, actor = new_id(), now(), actor or current_user()
    label = name.strip()[:200] or f"{chosen.title} {job_id[-4:]}"
    resolved = spec.model_dump(mode="json")
    row = {
        "id": job_id,
        "name": label,
        "kind": kind,
        "engine": engine,
        "spec": resolved,
        "spec_hash": spec_hash(kind, spec),
        "state": "queued" if start else "pending",
        "since": at,
        "owner": actor,
        "group_name": group,
        "priority": priority,
        "cpu_slots": spec.cpu_slots,
        "attempt": 0,
        "created_at": at,
        "queued_at": at if start else None,
        "not_before": not_before,
        **asks(workspace, chosen, spec, gpus_here()),
    }
    folder = workspace.job_folder(job_id)
    write_whole(folder / "spec.yaml", document.write(kind, label, resolved, engine))
    try:
        with writing(workspace.engine) as connection:
            store.insert_job(connection, row, [*needs, *implied_needs(spec)], actor)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return get(workspace, job_id)


def implied_needs(spec: JobSpec) -> list[str]:
    """Jobs whose output the spec uses."""
    return [r.job_id for r in references(spec) if r.job_id is not None]


def get(workspace: Workspace, job_id: str) -> Job:
    """The job with this id, or the only one whose id begins or ends so (4 characters at least); raises Problem."""
    with reading(workspace.engine) as connection:
        job = store.get_job(connection, job_id) if is_id(job_id) else None
        if job is None and len(job_id) >= 4:
            found = store.find_jobs(connection, search=job_id)
            alike = [j for j in found if j.id.startswith(job_id) or j.id.endswith(job_id)]
            job = alike[0] if len(alike) == 1 else None
    if job is None:
        raise Problem("There is no job {id}: `lathe jobs list` shows all.", id=job_id)
    return job


def start(
    workspace: Workspace,
    job_id: str,
    actor: str = "",
    *,
    priority: int | None = None,
    not_before: float | None = None,
) -> Job:
    """Put a job into the queue; starting one that already waits or runs changes nothing and is no error.

    Its retries count anew, what it asks for is estimated anew, and one that had reached its time limit gets that time
    once more.
    """
    job = get(workspace, job_id)
    _not_in_trash(job)
    if job.state in ("queued", "starting", "running"):
        return job
    if job.state == "completed":
        raise Problem("“{name}” is completed: clone it to run it again.", name=job.name)
    columns: dict[str, Any] = {"retried": 0, "position": None, "not_before": not_before, **_asks_again(workspace, job)}
    if priority is not None:
        columns["priority"] = priority
    with writing(workspace.engine) as connection:
        if columns.get("time_limit") is not None:
            columns["time_limit"] = _time_limit(connection, job, columns["time_limit"])
        for needed in store.needs_of(connection, job.id):
            other = store.get_job(connection, needed)
            if other is None or other.deleted_at is not None or other.state in ("failed", "stopped"):
                raise Problem(
                    "“{name}” needs the output of “{needed}”, which is {state}: start that one first.",
                    name=job.name,
                    needed=needed if other is None else other.name,
                    state=text("deleted") if other is None or other.deleted_at is not None else word(other.state),
                )
        done = store.change_state(
            connection, job.id, STARTABLE, "queued", actor or current_user(), finished_at=None, result=None, **columns
        )
    job = get(workspace, job.id)
    if not done and job.state not in ("queued", "starting", "running", "completed"):
        raise Problem(
            "“{name}” is {state}: wait until that is over, then start it.", name=job.name, state=word(job.state)
        )
    return job


def _asks_again(workspace: Workspace, job: Job) -> dict[str, Any]:
    try:
        chosen = algorithm(job.kind)
        return asks(workspace, chosen, chosen.spec.model_validate(job.spec), gpus_here())
    except (Problem, ValidationError):  # of another version: the supervisor says so
        return {}


def _time_limit(connection: Connection, job: Job, limit: float) -> float:
    before = ran_before(connection, [job.id]).get(job.id, 0.0)
    return limit if before < limit else before + limit


def pause(workspace: Workspace, job_id: str, actor: str = "") -> Job:
    """Ask a running training to save a checkpoint after its current step and free its memory; `start` goes on exactly.

    Pausing one that pauses or is paused changes nothing; raises Problem where there is nothing to go on from later.
    """
    job = get(workspace, job_id)
    _not_in_trash(job)
    if algorithm(job.kind).role != "train":
        raise Problem("“{name}” writes no checkpoints, so that it can't be paused: stop it instead.", name=job.name)
    with writing(workspace.engine) as connection:
        done = store.change_state(connection, job.id, ("running",), "pausing", actor or current_user())
    job = get(workspace, job.id)
    if not done and job.state not in ("pausing", "paused"):
        raise Problem("“{name}” is {state}: only a running training is paused.", name=job.name, state=word(job.state))
    return job


def stop(workspace: Workspace, job_id: str, actor: str = "") -> Job:
    """Ask a job to stop: at once when no process runs, else after its current step and a checkpoint."""
    job, actor = get(workspace, job_id), actor or current_user()
    _not_in_trash(job)
    with writing(workspace.engine) as connection:
        waited = text("Stopped by {who} while it waited.", who=actor)
        done = store.change_state(
            connection, job.id, ("pending", "queued", "paused"), "stopped", actor, waited
        ) or store.change_state(connection, job.id, ("starting", "running", "pausing"), "stopping", actor)
    if not done and job.state in STOPPABLE:
        return get(workspace, job.id)
    if not done and job.state != "stopping":
        raise Problem("“{name}” is {state}: there is nothing to stop.", name=job.name, state=word(job.state))
    return get(workspace, job.id)


def delete(workspace: Workspace, job_id: str, actor: str = "") -> Job:
    """Move a job and its folder to the trash; raises Problem while it runs or others wait for its output."""
    job = get(workspace, job_id)
    _not_in_trash(job)
    if job.state not in DELETABLE:
        raise Problem("“{name}” is {state}: stop it first, then delete it.", name=job.name, state=word(job.state))
    at = now()
    with writing(workspace.engine) as connection:
        waiting = store.find_jobs(
            connection, ids=store.needed_by(connection, job.id), states=["queued", "starting", "running"]
        )
        if waiting:
            raise Problem(
                "“{name}” can't be deleted while “{other}” uses its output: stop that one first.",
                name=job.name,
                other=waiting[0].name,
            )
        now_there = store.get_job(connection, job.id)
        if now_there is None or now_there.state not in DELETABLE:
            raise Problem("“{name}” has just changed: look again, then delete it.", name=job.name)
        if now_there.state == "queued":
            store.change_state(connection, job.id, ("queued",), "pending", actor or current_user())
        store.update_job(connection, job.id, deleted_at=at)
        folder = workspace.job_folder(job.id)
        if folder.exists():
            trash.put(workspace, folder)
    return job


def restore(workspace: Workspace, job_id: str) -> Job:
    """Take a job out of the trash again."""
    with reading(workspace.engine) as connection:
        job = store.get_job(connection, job_id)
        if job is None:
            raise Problem("There is no job {id} in the trash.", id=job_id)
    trash.take_back(workspace, job.id)  # in no transaction: from another disk, many gigabytes may have to be copied
    with writing(workspace.engine) as connection:
        store.update_job(connection, job.id, deleted_at=None)
    return get(workspace, job_id)


def clone_values(job: Job) -> dict[str, Any]:
    """The settings of a job, to fill a form with."""
    known = algorithm(job.kind).spec.model_fields
    return {k: v for k, v in job.spec.items() if k in known}


def list_jobs(workspace: Workspace, **filters: Any) -> list[Job]:
    """Jobs newest first; filters as `store.find_jobs`."""
    with reading(workspace.engine) as connection:
        return store.find_jobs(connection, **filters)


def count_jobs(workspace: Workspace, **filters: Any) -> dict[State, int]:
    """Jobs in each state; filters as `store.count_jobs`."""
    with reading(workspace.engine) as connection:
        return store.count_jobs(connection, **filters)


def history(workspace: Workspace, job_id: str) -> tuple[list[store.Attempt], list[store.Transition]]:
    """All attempts and changes of state of a job, oldest first."""
    with reading(workspace.engine) as connection:
        return store.attempts_of(connection, job_id), store.transitions_of(connection, job_id)


def needs(workspace: Workspace, job_id: str) -> list[Job]:
    """The jobs whose output this one uses."""
    with reading(workspace.engine) as connection:
        return store.find_jobs(connection, ids=store.needs_of(connection, job_id), oldest_first=True)


def current_user() -> str:
    """Who acts when nobody is signed in: the account that runs the process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"


def _not_in_trash(job: Job) -> None:
    if job.deleted_at is not None:
        raise Problem("“{name}” is in the trash: restore it first.", name=job.name)

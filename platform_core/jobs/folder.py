"""The folder of a job: what is written there for its runner, and where its log and its numbers are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.datasets import service as datasets
from platform_core.files import read_json, write_json
from platform_core.jobs.spec import JobSpec, Reference, references
from platform_core.jobs.store import Job
from platform_core.models.service import model_path
from platform_core.rewards import service as rewards
from platform_core.rewards.spec import models_of
from platform_core.rewards.store import is_reward, keep, load
from platform_core.workspace.service import Workspace


def resolved_paths(workspace: Workspace, spec: JobSpec, kept: Path | None = None) -> dict[str, Path]:
    """The absolute path behind each reference of a spec; raises Problem when one is gone.

    `kept`: the folder in which a job that began keeps its reward; it counts, whatever became of the saved one.
    """
    paths = {}
    for reference in references(spec):
        if reference.pick == "dataset":
            paths[reference.field] = datasets.get(workspace.home, reference.value).path
        elif reference.pick == "reward":
            paths |= _reward_paths(workspace, reference, kept)
        else:
            paths[reference.field] = model_path(workspace, reference.value)
    return paths


def _reward_paths(workspace: Workspace, reference: Reference, kept: Path | None) -> dict[str, Path]:
    """The folder of a saved reward, none of a built-in one, and the reward models it asks."""
    mine = kept / reference.value if kept is not None else None
    found = load(mine) if mine is not None and is_reward(mine) else rewards.get(workspace.home, reference.value)
    models = models_of(found.reward)
    paths = {f"{reference.field}.{name}": model_path(workspace, model) for name, model in models.items()}
    return {reference.field: found.folder, **paths} if found.folder is not None else paths


def write_run(workspace: Workspace, job: Job, number: int, threads: int) -> Path:
    """Write `attempts/<number>/run.json`, all that a runner needs to know; the attempt's folder."""
    spec = algorithm(job.kind).spec.model_validate(job.spec)
    folder = workspace.job_folder(job.id) / "attempts" / str(number)
    kept = kept_reward(workspace, job)
    paths = resolved_paths(workspace, spec, kept)
    if "reward" in paths:
        paths["reward"] = keep(paths["reward"], kept / paths["reward"].name)
    run = {
        "id": job.id,
        "kind": job.kind,
        "engine": job.engine,
        "attempt": number,
        "spec": spec.model_dump(mode="json"),
        "paths": {k: str(v) for k, v in paths.items()},
        "threads": threads,
    }
    write_json(folder / "run.json", run)
    return folder


def kept_reward(workspace: Workspace, job: Job) -> Path:
    """The folder in which a job keeps the reward that it began with."""
    return workspace.job_folder(job.id) / "reward"


def log_file(workspace: Workspace, job: Job) -> Path | None:
    """The log of the newest attempt, or None before the first."""
    path = workspace.job_folder(job.id) / "attempts" / str(job.attempt) / "log.txt"
    return path if job.attempt and path.is_file() else None


def metrics_file(workspace: Workspace, job: Job) -> Path:
    return workspace.job_folder(job.id) / "metrics.sqlite"


def provenance(workspace: Workspace, job: Job) -> dict[str, Any]:
    """What the newest attempt was made of (hashes of inputs, versions, machine); empty before it is known."""
    return read_json(workspace.job_folder(job.id) / "attempts" / str(job.attempt) / "provenance.json") or {}

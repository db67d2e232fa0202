"""The demo as real jobs: seven of the kinds that everybody uses, chained by dependencies, on data written for it."""

from __future__ import annotations

import fcntl
from typing import Any

from platform_core.clock import now
from platform_core.database.engine import writing
from platform_core.demo.data import write_datasets
from platform_core.demo.recipe import STAGE, Stage, stages
from platform_core.errors import Problem
from platform_core.files import write_json
from platform_core.ids import new_id
from platform_core.jobs import service, store
from platform_core.jobs.states import STARTABLE
from platform_core.jobs.store import Job
from platform_core.models.answers import answer
from platform_core.workspace.service import Workspace

EVALUATED = ("base", "sft", "grpo")


def start_demo(workspace: Workspace, seed: int = 0) -> list[Job]:
    """Queue the demo and return its jobs, in order; a demo of this seed that is not finished goes on instead."""
    with (workspace.home / ".demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        group = _unfinished(workspace, seed) or _create(workspace, seed)
        _queue(workspace, group)
    return list(demo_jobs(workspace, group).values())


def latest_demo(workspace: Workspace) -> str | None:
    """The group name of the newest demo; None when there was none."""
    groups = _groups(workspace)
    return groups[0] if groups else None


def demo_jobs(workspace: Workspace, group: str) -> dict[str, Job]:
    """Stage name → job, in the order of the recipe."""
    names = {_label(stage.name, seed_of(group)): stage.name for stage in _recipe(seed_of(group))}
    found = {names[j.name]: j for j in service.list_jobs(workspace, group=group) if j.name in names}
    return {name: found[name] for name in names.values() if name in found}


def demo_result(workspace: Workspace, group: str) -> dict[str, Any] | None:
    """The result of a finished demo, every number read back from its jobs; also left in `demo/result.json`.

    `exact_match` (greedy) and `sampled_accuracy` (temperature 1) are shares of 1; `seconds` is wall time from the first
    job's start to the last one's end. None while a job is not completed.
    """
    jobs = demo_jobs(workspace, group)
    if len(jobs) < len(_recipe(seed_of(group))) or any(j.state != "completed" for j in jobs.values()):
        return None
    scores = {name: jobs[f"evaluate-{name}"].result.get("metrics", {}) for name in EVALUATED}
    started = min(j.started_at or j.created_at for j in jobs.values())
    result = {
        "seed": seed_of(group),
        "seconds": round(max(j.finished_at or now() for j in jobs.values()) - started, 1),
        "stages": [_stage_row(name, job) for name, job in jobs.items()],
        "exact_match": {name: scores[name]["exact_match"] for name in EVALUATED},
        "sampled_accuracy": {name: scores[name]["sampled_accuracy"] for name in ("sft", "grpo")},
    }
    write_json(workspace.home / "demo" / "result.json", result)
    return result


def scores(workspace: Workspace, group: str) -> dict[str, dict[str, Any]]:
    """base, sft, grpo → all metrics of their evaluation, intervals and n included; those that are finished."""
    jobs = demo_jobs(workspace, group)
    wanted = {name: jobs.get(f"evaluate-{name}") for name in EVALUATED}
    return {name: job.result.get("metrics", {}) for name, job in wanted.items() if job and job.state == "completed"}


def ask(workspace: Workspace, group: str, prompt: str) -> dict[str, str]:
    """What base, SFT and GRPO answer to a sum such as `47+38=` (greedy); raises Problem before they are trained."""
    asked = prompt.replace(" ", "")
    left, plus, right = asked.rstrip("=").partition("+")
    if not (plus and left.isascii() and right.isascii() and left.isdigit() and right.isdigit()):
        raise Problem("“{prompt}” is no sum that the demo's models know: type one such as 47+38=.", prompt=prompt[:40])
    jobs = demo_jobs(workspace, group)
    models = {"base": jobs.get("pretrain"), "sft": jobs.get("sft"), "grpo": jobs.get("grpo")}
    ready = {n: workspace.job_folder(j.id) / "output" for n, j in models.items() if j and j.state == "completed"}
    if not ready:
        raise Problem("The demo's models are not trained yet: wait for its first training to end.")
    return answer(workspace.home, ready, f"{int(left)}+{int(right)}=", max_new_tokens=32)


def seed_of(group: str) -> int:
    """The seed in a demo's group name (`demo-<seed>-<id>`)."""
    return int(group.split("-")[1])


def _create(workspace: Workspace, seed: int) -> str:
    group = f"demo-{seed}-{new_id()}"
    made: dict[str, Job] = {}
    try:
        for stage in stages(seed, write_datasets(workspace.home, seed)):
            values = {k: _reference(v, made) for k, v in stage.spec.items()}
            name = _label(stage.name, seed)
            made[stage.name] = service.create(workspace, stage.kind, values, name=name, group=group)
    except BaseException:
        _remove(workspace, list(made.values()))
        raise
    return group


def _remove(workspace: Workspace, jobs: list[Job]) -> None:
    """Take the jobs of a demo that was never whole away, those that need others first."""
    for job in reversed(jobs):
        service.delete(workspace, job.id)


def _queue(workspace: Workspace, group: str) -> None:
    """Start all that does not wait, run or is done, in one transaction."""
    with writing(workspace.engine) as connection:
        for job in store.find_jobs(connection, group=group, states=list(STARTABLE), oldest_first=True):
            store.change_state(
                connection, job.id, STARTABLE, "queued", service.current_user(), finished_at=None, result=None
            )


def _unfinished(workspace: Workspace, seed: int) -> str | None:
    for group in _groups(workspace):
        if seed_of(group) != seed:
            continue
        jobs = demo_jobs(workspace, group)
        if len(jobs) < len(_recipe(seed)):
            if all(j.state == "pending" for j in jobs.values()):  # killed while it was made
                _remove(workspace, list(jobs.values()))
            continue
        if any(j.state != "completed" for j in jobs.values()):
            return group
        return None
    return None


def _groups(workspace: Workspace) -> list[str]:
    found = [j.group_name for j in service.list_jobs(workspace, search="Demo ") if j.group_name]
    return list(dict.fromkeys(g for g in found if g.startswith("demo-")))


def _recipe(seed: int) -> list[Stage]:
    return stages(seed, {"pretrain": "", "sft": "", "grpo": "", "heldout": ""})


def _label(stage: str, seed: int) -> str:
    return f"Demo {stage}, seed {seed}"


def _reference(value: object, made: dict[str, Job]) -> object:
    if isinstance(value, str) and value.startswith(STAGE):
        return f"job:{made[value.removeprefix(STAGE)].id}"
    return value


def _stage_row(name: str, job: Job) -> dict[str, Any]:
    seconds = (job.finished_at or 0) - (job.started_at or 0)
    return {
        "name": name,
        "kind": job.kind,
        "job": job.id,
        "seconds": round(seconds, 1),
        "steps": job.result.get("step"),
    }

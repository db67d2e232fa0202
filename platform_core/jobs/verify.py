"""Proofs of exact resume: asked for here, made by `runners/programs/verify.py` as a job of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.errors import Problem
from platform_core.jobs import service
from platform_core.jobs.spec import JobSpec
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

KIND = "verify"
STEPS = 20


@dataclass(frozen=True)
class Verdict:
    """What a proof found: `identical`, or the first `difference` in words."""

    identical: bool
    steps: int
    resumed_at: int
    points: int
    tensors: int
    difference: str


def create(workspace: Workspace, job_id: str, steps: int | None = None, actor: str = "") -> Job:
    """Queue a proof for a training; raises Problem for what does not train or has never run."""
    job = service.get(workspace, job_id)
    refuse_untrained(job)
    own = algorithm(job.kind).spec.model_validate(job.spec)
    total = getattr(own, "max_steps", None) or job.total_steps
    asked = steps if steps is not None else min(STEPS, total or STEPS)
    if asked < 2 or (total is not None and asked > total):
        raise Problem(
            "A proof runs at least 2 steps and at most those of the training: “{name}” has {total}.",
            fields=("steps",),
            name=job.name,
            total=total if total is not None else "?",
        )
    values: dict[str, Any] = {"job": job.id, "steps": asked, **same_place(own)}
    return service.create(workspace, KIND, values, name=f"Exact resume of {job.name}", start=True, actor=actor)


def refuse_untrained(job: Job) -> None:
    """Raise Problem unless the job is a training that has begun, on an engine that resumes exactly."""
    if algorithm(job.kind).role != "train":
        raise Problem("“{name}” does not train a model, so there is nothing that could be resumed.", name=job.name)
    if not job.attempt:
        raise Problem("“{name}” has not run yet: start it first, then prove that it resumes exactly.", name=job.name)
    if job.engine == "verl":
        raise Problem(
            "“{name}” runs on verl, which goes on from its checkpoints but repeats no run bit for bit: there is "
            "nothing to prove.",
            name=job.name,
        )


def same_place(spec: JobSpec) -> dict[str, Any]:
    """The settings that decide where a job runs; two runs are alike only with the same cores and GPUs."""
    return {
        name: getattr(spec, name)
        for name in ("cpu_slots", "memory_gib", "gpus", "gpu_indexes", "gpu_memory_gib", "seed", "environment")
    }


def latest(workspace: Workspace, job: Job) -> Job | None:
    """The newest proof that was asked for a job, whatever its state."""
    proofs = service.list_jobs(workspace, kinds=[KIND], limit=500)
    return next((proof for proof in proofs if proof.spec.get("job") == job.id), None)


def verdict(proof: Job) -> Verdict | None:
    """What a completed proof found; None before that."""
    found = proof.result.get("metrics")
    if proof.state != "completed" or not isinstance(found, dict) or "identical" not in found:
        return None
    numbers = {name: int(found.get(name, 0)) for name in ("steps", "resumed_at", "points", "tensors")}
    return Verdict(bool(found["identical"]), difference=str(found.get("difference", "")), **numbers)

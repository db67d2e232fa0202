"""Whatever can be known wrong is said before a process starts: references, data format, machine, disk."""

from __future__ import annotations

import os
import shutil

from platform_core.algorithms.registry import Algorithm
from platform_core.database.engine import reading
from platform_core.datasets import service as datasets
from platform_core.environment.machine import memory_bytes
from platform_core.errors import Problem, text
from platform_core.jobs import store
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, Reference, references
from platform_core.jobs.states import word
from platform_core.models.architecture import training_bytes
from platform_core.models.service import check_model
from platform_core.workspace.service import Workspace

LEAST_FREE = 200 * 2**20


def check(workspace: Workspace, algorithm: Algorithm, spec: JobSpec) -> list[Finding]:
    """Errors that would end the job, warnings that a person should know; empty when all is well."""
    findings = []
    for reference in references(spec):
        try:
            findings += _check_reference(workspace, algorithm, reference)
        except Problem as problem:
            findings.append(Finding("error", problem.text, (reference.field,)))
    return findings + _check_machine(workspace, spec)


def _check_reference(workspace: Workspace, algorithm: Algorithm, reference: Reference) -> list[Finding]:
    if reference.job_id is not None:
        return _check_job_output(workspace, reference)
    if reference.pick == "dataset":
        if algorithm.dataset_format:
            datasets.check(workspace.home, reference.value, algorithm.dataset_format)
        return []
    info = check_model(workspace, reference.value, tokenizer_only=reference.pick == "tokenizer")
    return _check_memory(info.parameters) if algorithm.role == "train" and info.parameters else []


def _check_job_output(workspace: Workspace, reference: Reference) -> list[Finding]:
    with reading(workspace.engine) as connection:
        job = store.get_job(connection, reference.job_id or "")
    if job is None or job.deleted_at is not None:
        raise Problem(
            "Job {id} is not there (any more): choose another {pick}.", id=reference.job_id, pick=reference.pick
        )
    if job.state in ("failed", "stopped"):
        raise Problem(
            "Job “{name}” is {state} and has no output: start it again first, or choose another.",
            name=job.name,
            state=word(job.state),
        )
    if job.state == "completed":
        check_model(workspace, reference.value, tokenizer_only=reference.pick == "tokenizer")
    return []


def _check_memory(parameters: int) -> list[Finding]:
    need, have = training_bytes(parameters), memory_bytes()
    if need <= have:
        return []
    sentence = text(
        "Weights, gradients and optimizer need {need:.1f} GiB; this machine has {have:.1f} GiB of memory.",
        need=need / 2**30,
        have=have / 2**30,
    )
    return [Finding("warning", sentence, ("model",))]


def _check_machine(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    findings = []
    cores = os.cpu_count() or 1
    if spec.cpu_slots is not None and spec.cpu_slots > cores:
        sentence = text(
            "{want} cores are more than the {have} of this machine: the job would wait for ever.",
            want=spec.cpu_slots,
            have=cores,
        )
        findings.append(Finding("error", sentence, ("cpu_slots",)))
    free = shutil.disk_usage(workspace.home).free
    if free < LEAST_FREE:
        findings.append(
            Finding(
                "error",
                text(
                    "Only {free:.0f} MiB are free on the workspace's disk; a job needs at least {need:.0f}.",
                    free=free / 2**20,
                    need=LEAST_FREE / 2**20,
                ),
            )
        )
    device = getattr(spec, "device", "auto")
    if device == "cuda" and not os.path.exists("/proc/driver/nvidia/version"):
        findings.append(Finding("error", text("This machine has no NVIDIA GPU: choose auto or cpu."), ("device",)))
    if device == "mps" and os.uname().sysname != "Darwin":
        findings.append(
            Finding("error", text("mps is Apple's GPU and this machine has none: choose auto or cpu."), ("device",))
        )
    return findings

"""What a job will be: steps, size, memory and when it begins, as far as its settings tell before it runs."""

from __future__ import annotations

from app.sizes import bytes_text
from app.words import _
from platform_core.algorithms.registry import Algorithm
from platform_core.datasets import service as datasets
from platform_core.environment.machine import memory_bytes, usable_cores
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs.estimate import GPU_DEVICES, checkpoint_bytes, peak_bytes
from platform_core.jobs.spec import JobSpec, references
from platform_core.jobs.states import ACTIVE
from platform_core.models.architecture import parameter_count
from platform_core.models.service import ModelInfo, model_path, read_model
from platform_core.models.vocabulary import vocabulary_size
from platform_core.queue.capacity import gpus_here
from platform_core.workspace.service import Workspace

Fact = tuple[str, str]


def facts(workspace: Workspace, chosen: Algorithm, spec: JobSpec) -> list[Fact]:
    """Label and value of all that is known about the job before it runs."""
    found: list[Fact] = []
    rows = dataset_rows(workspace, spec)
    steps = spec.total_steps(rows)
    if steps is not None:
        found.append((_("Steps"), f"{steps:,}"))
    elif chosen.role == "train":
        found.append((_("Steps"), _("known once the texts are packed")))
    if rows is not None:
        found.append((_("Rows"), f"{rows:,}"))
    parameters = parameters_of(workspace, spec)
    if parameters is not None:
        found.append((_("Parameters"), f"{parameters:,}"))
        if chosen.role == "train" and (peak := peak_bytes(workspace, chosen, spec)):
            found.append((_("Checkpoint"), "~" + bytes_text(checkpoint_bytes(workspace, spec))))
            found.append((_("Memory"), memory_line(peak, spec)))
    found.append((_("Begins"), begins(workspace, spec)))
    return found


def memory_line(need: float, spec: JobSpec) -> str:
    """The worst moment of a training against what the machine has: of its largest GPU where it computes on one."""
    gpus = gpus_here() if getattr(spec, "device", "cpu") in GPU_DEVICES else ()
    have = max((gpu.memory_total for gpu in gpus), default=memory_bytes())
    if need <= have:
        return _("~{need} at most: fits", need=bytes_text(need))
    return _("~{need} at most, of {have}: too much", need=bytes_text(need), have=bytes_text(have))


def dataset_rows(workspace: Workspace, spec: JobSpec) -> int | None:
    """Usable rows of the job's dataset, if it has been looked at."""
    for reference in references(spec):
        if reference.pick == "dataset" and reference.job_id is None:
            try:
                report = datasets.get(workspace.home, reference.value).report
            except Problem:
                return None
            return report.good_rows if report is not None else None
    return None


def parameters_of(workspace: Workspace, spec: JobSpec) -> int | None:
    """Parameters of the model that the job makes from scratch, or of the one it starts from."""
    first = {r.pick: r.value for r in reversed(references(spec)) if r.pick in ("model", "tokenizer")}
    found = {pick: model_of(workspace, value) for pick, value in first.items()}
    architecture = getattr(spec, "architecture", None)
    if callable(architecture) and getattr(spec, "start", "") == "scratch":
        tokenizer = found.get("tokenizer")
        vocabulary = vocabulary_size(tokenizer.path) if tokenizer is not None else None
        return parameter_count(architecture(vocabulary)) if vocabulary else None
    model = found.get("model")
    return model.parameters if model is not None else None


def model_of(workspace: Workspace, reference: str) -> ModelInfo | None:
    """What the library knows about a reference; None when it is still being made."""
    try:
        return read_model(model_path(workspace, reference), reference, reference, None)
    except Problem:
        return None


def begins(workspace: Workspace, spec: JobSpec) -> str:
    """When the job will start: after those it needs, after those that wait, or at once."""
    waits = [job_name(workspace, r.job_id) for r in references(spec) if r.job_id is not None]
    unfinished = [name for name in waits if name]
    if unfinished:
        return _("when “{name}” has finished", name=unfinished[0])
    counts = jobs.count_jobs(workspace)
    queued = counts.get("queued", 0)
    if queued:
        return _("after {n} waiting in the queue", n=queued)
    cores, wanted = usable_cores(), spec.cpu_slots or 1
    taken = sum(j.cpu_slots for j in jobs.list_jobs(workspace, states=list(ACTIVE)))
    if taken + wanted > cores:
        return _("when {n} cores are free", n=wanted)
    return _("at once, on {n} of {cores} cores", n=wanted, cores=cores)


def job_name(workspace: Workspace, job_id: str) -> str:
    """The name of a job whose output is still to come; empty when it is there."""
    job = jobs.get(workspace, job_id)
    return "" if job.state == "completed" else job.name

"""Whatever can be known wrong is said before a process starts: references, data format, machine, disk."""

from __future__ import annotations

import os
import shutil

from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.registry import Algorithm, engine_of
from platform_core.algorithms.reward_model import RewardModelSpec
from platform_core.algorithms.training import TrainingSpec
from platform_core.database.engine import reading
from platform_core.datasets import service as datasets
from platform_core.datasets.check import check_dataset
from platform_core.datasets.needs import training_rows
from platform_core.environment.machine import memory_bytes, usable_cores
from platform_core.environments import service as environments
from platform_core.environments.health import Health
from platform_core.errors import Problem, Text, text
from platform_core.jobs import store
from platform_core.jobs.belonging import check_belonging
from platform_core.jobs.estimate import LENGTHS, peak_bytes
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, Reference, references
from platform_core.jobs.states import word
from platform_core.models.architecture import parameter_count, training_bytes
from platform_core.models.service import check_model, model_path
from platform_core.models.vocabulary import vocabulary_size
from platform_core.queue.capacity import gpus_here
from platform_core.rewards.sample import check_reward, reward_columns
from platform_core.verl import check as verl
from platform_core.workspace.service import Workspace

LEAST_FREE = 200 * 2**20


def check(workspace: Workspace, algorithm: Algorithm, spec: JobSpec) -> list[Finding]:
    """Errors that would end the job, warnings that a person should know; empty when all is well."""
    findings: list[Finding] = []
    for reference in references(spec):
        try:
            if reference.pick == "dataset":
                _check_dataset(workspace, algorithm, spec, reference)
            elif reference.pick == "reward":
                findings += check_reward(workspace, algorithm, spec, reference)
            else:
                findings += _check_model(workspace, algorithm, spec, reference)
        except Problem as problem:
            findings.append(Finding("error", problem.text, problem.fields or (reference.field,)))
    return [
        *findings,
        *check_belonging(workspace, algorithm, spec),
        *_check_scratch(workspace, spec),
        *_check_machine(workspace, spec),
        *_check_engine(workspace, algorithm, spec),
    ]


def _check_engine(workspace: Workspace, algorithm: Algorithm, spec: JobSpec) -> list[Finding]:
    """Whether the kind has the engine, and the job's interpreter what the engine takes."""
    engine = engine_of(algorithm, spec)
    if engine not in algorithm.engines:
        sentence = text(
            "{title} does not run on the engine {engine}; it runs on {known}.",
            title=Text(algorithm.title),
            engine=engine,
            known=", ".join(algorithm.engines),
        )
        return [Finding("error", sentence, ("engine",))]
    if engine == "verl" and isinstance(spec, EngineSpec):
        return verl.check(workspace, algorithm, spec)
    try:
        found = environments.get(workspace.home, spec.environment)
        if not found.is_base:
            environments.require(found, engine)
    except Problem as problem:
        return [Finding("error", problem.text, problem.fields)]
    return _check_packages(spec, found.health)


def _check_packages(spec: JobSpec, health: Health) -> list[Finding]:
    """Whether the job's interpreter has the packages that only some settings need."""
    found = []
    if getattr(spec, "tuning", "") == "qlora" and not health.version("bitsandbytes"):
        sentence = text(
            "Quantized weights need the package bitsandbytes, which this machine's Python does not have: take LoRA, or "
            "install it into the environment of the job."
        )
        found.append(Finding("error", sentence, ("tuning",)))
    if getattr(spec, "optimizer", "") == "adamw_8bit" and not health.version("bitsandbytes"):
        sentence = text(
            "8-bit AdamW needs the package bitsandbytes, which this machine's Python does not have: take AdamW or "
            "Adafactor, or install it into the environment of the job."
        )
        found.append(Finding("error", sentence, ("optimizer",)))
    gpus = getattr(spec, "device", "cpu") != "cpu" and gpus_here()
    if gpus and str(getattr(spec, "parallel", "")).startswith("zero") and not health.version("deepspeed"):
        sentence = text(
            "DeepSpeed is not installed in the job's environment: take FSDP, which does the same, or install it with "
            "`pip install deepspeed`."
        )
        found.append(Finding("error", sentence, ("parallel",)))
    return found


def _check_dataset(workspace: Workspace, algorithm: Algorithm, spec: JobSpec, reference: Reference) -> None:
    if algorithm.dataset_format:
        columns, title = reward_columns(workspace, spec), Text(algorithm.title)
        check_dataset(workspace.home, reference.value, algorithm.dataset_format, columns, title)


def _check_model(workspace: Workspace, algorithm: Algorithm, spec: JobSpec, reference: Reference) -> list[Finding]:
    if reference.job_id is not None and not _has_output(workspace, reference):
        return []
    info = check_model(workspace, reference.value, tokenizer_only=reference.pick == "tokenizer")
    if reference.pick == "tokenizer":
        return []
    if info.kind == "reward_model" and algorithm.spec is not RewardModelSpec:
        raise Problem(
            "{ref} is a reward model: it scores answers and can't write any. Choose the model it was made from.",
            ref=reference.value,
        )
    written = getattr(spec, "chat_template", "own") != "own" and reference.field == "model"
    if not info.has_chat_template and not written:
        _check_no_chats(workspace, algorithm, spec, reference)
    starts = algorithm.role == "train" and reference.field == "model"
    return [*(_check_peak(workspace, algorithm, spec) if starts else []), *_check_context(info.context_length, spec)]


def _check_no_chats(workspace: Workspace, algorithm: Algorithm, spec: JobSpec, reference: Reference) -> None:
    """Raise Problem for a dataset of conversations: the model's tokenizer has no chat template to write them with."""
    named = getattr(spec, "dataset", None)
    if algorithm.dataset_format in (None, "pretrain") or not named:
        return
    try:
        rows = list(training_rows(datasets.get(workspace.home, named).path, algorithm.dataset_format, limit=20))
    except Problem:
        return  # said beside the dataset already
    if any(isinstance(value, list) for row in rows for value in row.values()):
        if reference.field == "model" and "chat_template" in type(spec).model_fields:
            raise Problem(
                "{file} holds conversations, but the model's tokenizer has no chat template: choose one under "
                "Advanced, Conversations.",
                fields=("dataset", "chat_template"),
                file=named,
            )
        raise Problem(
            "{file} holds conversations, but the model's tokenizer has no chat template: choose a chat model, "
            "or a dataset with prompt and completion.",
            fields=("dataset", reference.field),
            file=named,
        )


def _check_context(context: int | None, spec: JobSpec) -> list[Finding]:
    findings = []
    for name in LENGTHS:
        asked = getattr(spec, name, None)
        if context is not None and asked is not None and asked > context:
            sentence = text(
                "{asked} tokens are more than the model's context of {context}: rows and answers end there.",
                asked=asked,
                context=context,
            )
            findings.append(Finding("warning", sentence, (name,)))
    return findings


def _has_output(workspace: Workspace, reference: Reference) -> bool:
    """Whether the job behind a reference is completed; raises Problem when it never will be."""
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
    return job.state == "completed"


def _check_scratch(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    """A model from scratch against the machine's memory; its embeddings are counted once its tokenizer is there."""
    architecture = getattr(spec, "architecture", None)
    tokenizer = next((r.value for r in references(spec) if r.pick == "tokenizer"), None)
    if architecture is None or tokenizer is None:
        return []
    try:
        vocabulary = vocabulary_size(model_path(workspace, tokenizer))
    except Problem:
        vocabulary = None  # said beside the tokenizer, or still to be made
    return _too_large(training_bytes(parameter_count(architecture(vocabulary or 256))), "hidden_size", "layers")


def _check_peak(workspace: Workspace, algorithm: Algorithm, spec: JobSpec) -> list[Finding]:
    return _too_large(peak_bytes(workspace, algorithm, spec), "model", "batch_size")


def _too_large(need: float, *fields: str) -> list[Finding]:
    have = memory_bytes()
    if need <= have or gpus_here():
        return []
    sentence = text(
        "The training needs about {need:.1f} GiB; this machine has {have:.1f} GiB of memory.",
        need=need / 2**30,
        have=have / 2**30,
    )
    return [Finding("warning", sentence, fields)]


def _check_machine(workspace: Workspace, spec: JobSpec) -> list[Finding]:
    findings = []
    cores = usable_cores()
    if spec.cpu_slots is not None and spec.cpu_slots > cores:
        sentence = text(
            "{want} cores are more than the {have} that jobs can have on this machine: take at most {have}.",
            want=spec.cpu_slots,
            have=cores,
        )
        findings.append(Finding("error", sentence, ("cpu_slots",)))
    if spec.gpus and not getattr(spec, "ray_address", None):  # those of a cluster are elsewhere
        there = len(gpus_here())
        if spec.gpus > there:
            sentence = text("It asks for {n} GPUs; this machine has {all}: take fewer.", n=spec.gpus, all=there)
            findings.append(Finding("error", sentence, ("gpus",)))
    findings += _check_chosen_gpus(spec)
    free = shutil.disk_usage(workspace.home).free
    if free < LEAST_FREE:
        findings.append(
            Finding(
                "error",
                text(
                    "Only {free:.0f} MiB are free on the workspace's disk; a job needs at least {need:.0f}. "
                    "Empty the trash or delete old jobs.",
                    free=free / 2**20,
                    need=LEAST_FREE / 2**20,
                ),
            )
        )
    findings += _check_parallel(spec)
    device = getattr(spec, "device", "auto")
    if device == "cuda" and not os.path.exists("/proc/driver/nvidia/version"):
        findings.append(Finding("error", text("This machine has no NVIDIA GPU: choose auto or cpu."), ("device",)))
    if device == "mps" and os.uname().sysname != "Darwin":
        findings.append(
            Finding("error", text("mps is Apple's GPU and this machine has none: choose auto or cpu."), ("device",))
        )
    return findings


def _check_chosen_gpus(spec: JobSpec) -> list[Finding]:
    there = sorted(gpu.index for gpu in gpus_here()) if spec.chosen_gpus else []
    missing = [index for index in spec.chosen_gpus if index not in there]
    if not missing:
        return []
    listed = ", ".join(map(str, missing))
    if not there:
        sentence = text("There is no GPU {missing}: this machine has no GPU. Leave GPU indexes empty.", missing=listed)
    else:
        sentence = text(
            "There is no GPU {missing}: this machine has GPU {there}. Choose of these, or leave GPU indexes empty.",
            missing=listed,
            there=", ".join(map(str, there)),
        )
    return [Finding("error", sentence, ("gpu_indexes",))]


def _check_parallel(spec: JobSpec) -> list[Finding]:
    if not isinstance(spec, TrainingSpec) or spec.world_size == 1:
        return []
    gpus = 0 if spec.device == "cpu" else len(gpus_here())
    if spec.parallel != "ddp" and not gpus:
        sentence = text("FSDP and DeepSpeed need GPUs, and the job would run on the CPU: take DDP or one process.")
        return [Finding("error", sentence, ("parallel",))]
    if gpus and spec.processes > gpus:
        sentence = text(
            "{processes} processes need as many GPUs; this machine has {all}: take fewer.",
            processes=spec.processes,
            all=gpus,
        )
        return [Finding("error", sentence, ("processes",))]
    return []

"""What can be known wrong with a training on verl before it starts, and what it will run."""

from __future__ import annotations

from pathlib import Path

from platform_core.algorithms.engines import EngineSpec, VerlRolloutSpec
from platform_core.algorithms.registry import Algorithm
from platform_core.environments import service as environments
from platform_core.errors import Problem, text
from platform_core.jobs.messages import Finding
from platform_core.models.service import model_path
from platform_core.queue.capacity import gpus_here
from platform_core.verl import compose
from platform_core.verl.command import Command, command
from platform_core.verl.setup import Setup
from platform_core.verl.vllm import no_vllm, rolls_out_here
from platform_core.workspace.service import Workspace

UNKNOWN_JOB = "new"


def check(workspace: Workspace, chosen: Algorithm, spec: EngineSpec) -> list[Finding]:
    """Errors of a spec whose engine is verl: the environment, keys that verl does not have, a machine without GPUs."""
    findings = []
    try:
        environment = environments.get(workspace.home, spec.environment)
        asked = preview(workspace, chosen, spec)
        compose.check(environment.python, asked.config, asked.overrides, asked.typed)
        if device_of(spec) == "cuda" and rolls_out_here(spec) and not environment.health.version("vllm"):
            raise no_vllm(spec)
    except Problem as problem:
        findings.append(Finding("error", problem.text, problem.fields))
    if device_of(spec) == "cpu":
        findings += on_cpu(spec)
    return findings


def on_cpu(spec: EngineSpec) -> list[Finding]:
    """What a machine without a GPU can't do; and that it is for trying things out."""
    if spec.strategy != "fsdp2":
        said = text("This machine has no NVIDIA GPU, and on a CPU only FSDP2 works: choose it as sharding.")
        return [Finding("error", said, ("strategy",))]
    if isinstance(spec, VerlRolloutSpec) and (spec.nodes > 1 or spec.rollout_tensor_parallel > 1):
        said = text("This machine has no NVIDIA GPU: take one node, and one GPU for a rollout server.")
        return [Finding("error", said, ("nodes", "rollout_tensor_parallel"))]
    if isinstance(spec, VerlRolloutSpec):
        said = text("Without a GPU, verl runs slowly here, with transformers in place of vLLM: good for trying out.")
    else:
        said = text("Without a GPU, verl runs slowly here: good for trying out.")
    return [Finding("warning", said, ("engine",))]


def preview(workspace: Workspace, chosen: Algorithm, spec: EngineSpec) -> Command:
    """The command as far as it is known before the data is read. Raises Problem for what can't be rendered."""
    environment = environments.get(workspace.home, spec.environment)
    environments.require(environment, "verl")
    folder = workspace.job_folder(UNKNOWN_JOB) / "attempts" / "1" / "verl"
    gpu = device_of(spec) == "cuda"
    setup = Setup(
        run=folder,
        model=_model(workspace, str(getattr(spec, "model", ""))),
        critic=_model(workspace, named) if (named := getattr(spec, "critic_model", None)) else None,
        device="cuda" if gpu else "cpu",
        gpus_per_node=gpus_of(spec) if gpu else 1,
        validation=spec.validates,
        ray_folder="/tmp/lathe-ray-new",
    )
    return command(chosen.name, spec, setup, environment.python)


def device_of(spec: EngineSpec) -> str:
    """cuda or cpu: what the spec asks for, where it leaves it open what this machine or its cluster has."""
    if spec.device in ("cuda", "cpu"):
        return spec.device
    has_cluster = isinstance(spec, VerlRolloutSpec) and bool(spec.ray_address)
    return "cuda" if gpus_here() or spec.gpu_count or has_cluster else "cpu"


def gpus_of(spec: EngineSpec) -> int:
    """GPUs on each node."""
    return spec.gpu_count or 1


def _model(workspace: Workspace, named: str) -> Path:
    try:
        return model_path(workspace, named)
    except Problem:  # still to be made, or said beside the field
        return Path(named)

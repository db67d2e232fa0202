"""vLLM, which makes the rollouts of verl on GPUs: whether a job takes it, and the sentence where it is missing."""

from __future__ import annotations

from platform_core.algorithms.engines import EngineSpec, VerlRolloutSpec
from platform_core.errors import Problem

BACKEND = "actor_rollout_ref.rollout.name="
"""With this override a person takes another rollout backend."""


def rolls_out_here(spec: EngineSpec) -> bool:
    """Whether a job on GPUs asks its own interpreter for vLLM: the nodes of a cluster have interpreters of theirs."""
    return isinstance(spec, VerlRolloutSpec) and not spec.ray_address and BACKEND not in (spec.verl_overrides or "")


def no_vllm(spec: EngineSpec) -> Problem:
    """That the interpreter of a job on GPUs has no vLLM."""
    return Problem(
        "On GPUs verl rolls out with vLLM, which the environment {name} lacks: choose one that has it, or compute on "
        "the CPU to try it out.",
        fields=("environment", "device"),
        name=spec.environment or "base",
    )

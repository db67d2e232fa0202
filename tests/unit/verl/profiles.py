"""Trainings whose whole command is kept as a golden file; run as a program, this writes the files anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.registry import algorithm
from platform_core.verl.command import Command, command
from platform_core.verl.setup import Reward, Setup

GOLDEN = Path(__file__).with_name("golden")
RUN = Path("/workspace/jobs/0123456789ab/attempts/1/verl")
MODEL = Path("/models/qwen")
GPU: dict[str, Any] = {"dtype": "bfloat16", "gradient_checkpointing": True, "device": "cuda", "gpus": 8}
LORA: dict[str, Any] = {"tuning": "lora", "lora_rank": 32, "lora_targets": "q_proj, v_proj"}
CLUSTER: dict[str, Any] = {"nodes": 4, "ray_address": "10.0.0.1:6379"}

PROFILES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sft-cpu": ("sft", {"device": "cpu", "max_steps": 20}, {"total_steps": 20, "total_epochs": 2, "validation": True}),
    "sft-fsdp2-lora": ("sft", {**GPU, **LORA, "lr_scheduler": "cosine_with_min_lr", "warmup_steps": 10}, {}),
    "sft-megatron": ("sft", {**GPU, "strategy": "megatron", "param_offload": True}, {}),
    "grpo-cpu": ("grpo", {"device": "cpu", "kl_coef": 0.1}, {"plain": True, "prompt_length": 12, "resume": 40}),
    "grpo-fsdp2": ("grpo", {**GPU, "num_generations": 16, "clip_epsilon_high": 0.28, "rollout_tensor_parallel": 2}, {}),
    "grpo-fsdp-offload-lora": (
        "grpo",
        {**GPU, **LORA, "strategy": "fsdp", "param_offload": True, "optimizer_offload": True, "kl_coef": 0.01},
        {},
    ),
    "dr-grpo-nodes": ("grpo", {**GPU, **CLUSTER, "loss_type": "dr_grpo", "verl_overrides": "data.shuffle=False"}, {}),
    "gspo-megatron-nodes": ("gspo", {**GPU, **CLUSTER, "strategy": "megatron", "gpu_memory_utilization": 0.6}, {}),
    "rloo-fsdp2": ("rloo", GPU, {}),
    "ppo-fsdp2": ("ppo", {**GPU, "critic_model": "reward", "value_clip": None}, {"critic": Path("/models/reward")}),
    "ppo-cpu": ("ppo", {"device": "cpu"}, {"plain": True}),
    "reinforce-pp-group": ("reinforce_pp", {**GPU, "baseline": "group"}, {}),
}
"""Name → kind of job, its settings, what the machine and the data add."""


def spec_of(name: str) -> EngineSpec:
    kind, values, _ = PROFILES[name]
    spec = algorithm(kind).spec.model_validate({"model": "qwen", "dataset": "sums", "engine": "verl", **values})
    assert isinstance(spec, EngineSpec)
    return spec


def rendered(name: str) -> Command:
    kind, values, more = PROFILES[name]
    gpu = values.get("device") == "cuda"
    reward = None if kind == "sft" else Reward("pkg://runners.engines.verl.reward", "compute_score", {"folder": "/r"})
    setup = Setup(
        run=RUN,
        model=MODEL,
        device="cuda" if gpu else "cpu",
        gpus_per_node=8 if gpu else 1,
        reward=reward,
        ray_folder="/tmp/lathe-ray-0123456789ab.1",
        **more,
    )
    return command(kind, spec_of(name), setup, "/opt/verl/bin/python")


if __name__ == "__main__":
    for profile in PROFILES:
        (GOLDEN / f"{profile}.txt").write_text(rendered(profile).shell() + "\n")

"""Which library trains, where, and the settings that only verl has."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from platform_core.algorithms.training import TrainingSpec
from platform_core.errors import Problem
from platform_core.jobs.spec import cross_field, setting, setting_of
from platform_core.verl.fields import refused
from platform_core.verl.override import split

Engine = Literal["hf", "verl"]
VERL = {"engine": ("verl",)}


class EngineSpec(TrainingSpec):
    """A training that runs on transformers and TRL (`hf`) or on verl."""

    engine: Engine = setting(
        "hf",
        title="Engine",
        help="hf (transformers, TRL) computes on anything from a laptop's CPU to several GPUs and resumes exactly. "
        "verl (Ray, FSDP or Megatron, rollouts by vLLM) is for many GPUs; on a CPU it runs to be tried out.",
        labels={"hf": "hf", "verl": "verl"},
    )
    strategy: Literal["fsdp2", "fsdp", "megatron"] = setting(
        "fsdp2",
        title="Sharding",
        help="How weights are spread over GPUs: PyTorch's FSDP2 or FSDP, or Megatron's tensor and pipeline "
        "parallelism.",
        group="verl",
        labels={"fsdp2": "FSDP2", "fsdp": "FSDP", "megatron": "Megatron"},
        shown_if=VERL,
    )
    param_offload: bool = setting(
        False,
        title="Offload weights",
        help="Weights wait in main memory while they are not needed: less GPU memory, slower.",
        group="verl",
        advanced=True,
        shown_if=VERL,
    )
    optimizer_offload: bool = setting(
        False,
        title="Offload optimizer",
        help="The optimizer's moments wait in main memory between updates.",
        group="verl",
        advanced=True,
        shown_if=VERL,
    )
    verl_overrides: str | None = setting(
        None,
        title="More verl settings",
        help="Hydra overrides, separated by spaces, for what has no field here: "
        "actor_rollout_ref.actor.entropy_coeff=0.01. They come last and win.",
        group="verl",
        advanced=True,
        max_length=10_000,
        shown_if=VERL,
    )

    @model_validator(mode="after")
    def engine_can(self) -> EngineSpec:
        """What the chosen engine can't honour is said, never ignored."""
        if self.engine != "verl":
            return self
        for name, reason in refused(self):
            made = setting_of(type(self).model_fields[name], name)
            raise cross_field("{title}: {reason}", name, title=made.title, reason=reason)
        try:
            split(self.verl_overrides or "")
        except Problem as problem:
            raise cross_field(problem.text.template, *problem.fields, **problem.text.values) from problem
        return self


class VerlRolloutSpec(EngineSpec):
    """Reinforcement learning on verl: how its rollouts are made and how many machines take part."""

    adv_estimator: ClassVar[str] = "grpo"
    """How verl turns rewards into advantages."""
    policy_loss: ClassVar[str] = ""
    """verl's `policy_loss.loss_mode`; empty: its plain clipped one."""
    loss_average: ClassVar[str] = "dapo"
    """How token losses are averaged where the spec leaves no choice: as GRPO or DAPO do."""
    kl_in_reward: ClassVar[bool] = False
    """Whether the pull towards the start model is part of the reward; else it is in the loss."""

    nodes: int = setting(
        1,
        title="Nodes",
        help="Machines that train together; several need a Ray cluster that is there already.",
        group="verl",
        ge=1,
        le=1024,
        shown_if=VERL,
    )
    ray_address: str | None = setting(
        None,
        title="Ray cluster",
        help="Address of a running cluster, such as 10.0.0.1:6379. Empty: Ray is started for this job alone, on this "
        "machine, and ended with it.",
        group="verl",
        advanced=True,
        pattern=r"^[A-Za-z0-9.\-\[\]:]+:[0-9]{1,5}$",
        max_length=200,
        shown_if=VERL,
    )
    rollout_tensor_parallel: int = setting(
        1,
        title="GPUs of a rollout server",
        help="vLLM spreads one copy of the model over so many GPUs (tensor parallelism).",
        group="verl",
        ge=1,
        le=64,
        shown_if=VERL,
    )
    gpu_memory_utilization: float = setting(
        0.5,
        title="Memory for rollouts",
        help="Share of each GPU's memory that vLLM takes for weights and its cache of keys and values.",
        group="verl",
        gt=0,
        lt=1,
        step=0.05,
        recommended=(0.3, 0.8),
        shown_if=VERL,
    )

    @model_validator(mode="after")
    def nodes_have_a_cluster(self) -> VerlRolloutSpec:
        if self.engine == "verl" and self.nodes > 1 and not self.ray_address:
            raise cross_field(
                "{nodes} nodes need a Ray cluster: start one over them and give its address, or take one node.",
                "ray_address",
                "nodes",
                nodes=self.nodes,
            )
        return self

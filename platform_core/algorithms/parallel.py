"""One training in several processes: each takes its share of a batch, and holds all or a part of the weights."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from platform_core.algorithms.adapter import AdapterSpec
from platform_core.jobs.spec import cross_field, setting

SEVERAL = {"parallel": ("ddp", "fsdp", "zero2", "zero3")}


class ParallelSpec(AdapterSpec):
    """Data parallelism by DDP (Li et al. 2020), FSDP (Zhao et al. 2023) or DeepSpeed ZeRO (Rajbhandari et al. 2020)."""

    one_process: ClassVar[bool] = False
    """Whether an algorithm keeps something that is not shared between processes."""

    parallel: Literal["none", "ddp", "fsdp", "zero2", "zero3"] = setting(
        "none",
        title="Several processes",
        help="DDP: each GPU holds the whole model. FSDP and ZeRO-3 split weights, gradients and optimizer over the "
        "GPUs, ZeRO-2 gradients and optimizer. On a CPU, DDP only.",
        group="Parallel",
        advanced=True,
        labels={
            "none": "One process",
            "ddp": "DDP",
            "fsdp": "FSDP",
            "zero2": "DeepSpeed ZeRO-2",
            "zero3": "DeepSpeed ZeRO-3",
        },
    )
    processes: int = setting(
        2,
        title="Processes",
        help="One a GPU. An update sees batch size × gradient accumulation × processes rows.",
        group="Parallel",
        advanced=True,
        ge=2,
        le=64,
        shown_if=SEVERAL,
    )
    offload: bool = setting(
        False,
        title="Offload to main memory",
        help="Weights and optimizer wait in main memory: for models that the GPUs can't hold, several times slower.",
        group="Parallel",
        advanced=True,
        shown_if={"parallel": ("fsdp", "zero2", "zero3")},
    )

    @property
    def world_size(self) -> int:
        """Processes that train together."""
        return 1 if self.parallel == "none" else self.processes

    @model_validator(mode="after")
    def processes_can_share(self) -> ParallelSpec:
        if self.world_size > 1 and self.one_process:
            raise cross_field("This algorithm trains in one process only.", "parallel")
        return self

    @model_validator(mode="after")
    def gpus_suit_processes(self) -> ParallelSpec:
        if self.world_size > 1 and self.gpu_count and self.gpu_count != self.processes:
            raise cross_field(
                "{processes} processes need as many GPUs, not {gpus}: make both the same, or leave GPUs empty.",
                "processes",
                "gpu_indexes" if self.chosen_gpus else "gpus",
                processes=self.processes,
                gpus=self.gpu_count,
            )
        if self.world_size == 1 and (self.gpu_count or 0) > 1 and getattr(self, "engine", "hf") == "hf":
            raise cross_field(
                "One process computes on one GPU, not on {gpus}: take one, or several processes.",
                "gpu_indexes" if self.chosen_gpus else "gpus",
                "parallel",
                gpus=self.gpu_count,
            )
        return self


def accelerate_config(spec: ParallelSpec, bfloat16: bool = False) -> dict[str, Any]:
    """The file that `accelerate launch --config_file` would take for the same job; empty for one process."""
    if spec.world_size == 1:
        return {}
    found: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": {"ddp": "MULTI_GPU", "fsdp": "FSDP"}.get(spec.parallel, "DEEPSPEED"),
        "num_machines": 1,
        "num_processes": spec.processes,
        "mixed_precision": "bf16" if bfloat16 else "no",
    }
    if spec.parallel == "fsdp":
        found["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_reshard_after_forward": True,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": False,
            "fsdp_offload_params": spec.offload,
        }
    elif spec.parallel in ("zero2", "zero3"):
        place = "cpu" if spec.offload else "none"
        found["deepspeed_config"] = {
            "zero_stage": int(spec.parallel[-1]),
            "offload_optimizer_device": place,
            "offload_param_device": place if spec.parallel == "zero3" else "none",
            "zero3_init_flag": False,
            "zero3_save_16bit_model": spec.parallel == "zero3",
            "gradient_accumulation_steps": spec.gradient_accumulation_steps,
            "gradient_clipping": spec.max_grad_norm,
        }
    return found


DEEPSPEED_WORDS = {
    "zero_stage": "ACCELERATE_DEEPSPEED_ZERO_STAGE",
    "offload_optimizer_device": "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE",
    "offload_param_device": "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE",
    "zero3_init_flag": "ACCELERATE_DEEPSPEED_ZERO3_INIT",
    "zero3_save_16bit_model": "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL",
    "gradient_accumulation_steps": "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "gradient_clipping": "ACCELERATE_GRADIENT_CLIPPING",
}


def environment(config: dict[str, Any]) -> dict[str, str]:
    """What `accelerate launch` would set for the processes of such a config, beyond their ranks."""
    found = {"ACCELERATE_MIXED_PRECISION": str(config.get("mixed_precision", "no"))}
    if fsdp := config.get("fsdp_config"):
        found |= {"ACCELERATE_USE_FSDP": "true"} | {k.upper(): _word(v) for k, v in fsdp.items()}
    if deepspeed := config.get("deepspeed_config"):
        found |= {"ACCELERATE_USE_DEEPSPEED": "true"}
        found |= {DEEPSPEED_WORDS[k]: _word(v) for k, v in deepspeed.items()}
        found["ACCELERATE_CONFIG_DS_FIELDS"] = ",".join([*deepspeed, "mixed_precision"])
    return found


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

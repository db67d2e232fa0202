"""What SFT and reinforcement learning share, under the prefix at which each has it."""

from __future__ import annotations

from platform_core.algorithms.engines import EngineSpec
from platform_core.verl.override import Override as O
from platform_core.verl.override import Value
from platform_core.verl.setup import Setup

DTYPES = {"float32": "fp32", "bfloat16": "bf16"}
SCHEDULES = {
    "constant": ("constant", "constant"),
    "constant_with_warmup": ("constant", "constant"),
    "cosine": ("cosine", "cosine"),
    "cosine_with_min_lr": ("cosine", "cosine"),
    "linear": ("linear", "linear"),
}
"""Ours → FSDP's and Megatron's. FSDP's linear is ours, see `runners/engines/verl/patches.py`."""
NO_CLIPPING = 1e9
LOGGERS = ("console", "file")


def schedule(prefix: str, spec: EngineSpec, learning_rate: float, setup: Setup) -> list[O]:
    """Optimizer (AdamW), its betas, clipping and learning rate over time."""
    fsdp, megatron = SCHEDULES.get(spec.lr_scheduler, (None, None))
    found = [
        O(f"{prefix}.lr", learning_rate),
        O(f"{prefix}.lr_warmup_steps", spec.warmup_steps),
        O(f"{prefix}.weight_decay", spec.weight_decay),
        O(f"{prefix}.betas", [spec.adam_beta1, spec.adam_beta2]),
        O(f"{prefix}.clip_grad", spec.max_grad_norm or NO_CLIPPING),
    ]
    floor = spec.min_lr_ratio if spec.lr_scheduler == "cosine_with_min_lr" else 0.0
    if spec.strategy == "megatron":
        decay: Value = setup.total_steps
        return [
            *found,
            O(f"{prefix}.lr_decay_style", megatron),
            O(f"{prefix}.lr_decay_steps", decay),
            O(f"{prefix}.min_lr", floor * learning_rate),
        ]
    return [*found, O(f"{prefix}.lr_scheduler_type", fsdp), O(f"{prefix}.min_lr_ratio", floor)]


def adapter(prefix: str, spec: EngineSpec, merge: bool = False) -> list[O]:
    """LoRA beside the frozen weights; `merge`: rollouts get the merged weights."""
    if spec.tuning != "lora":
        return []
    targets = spec.lora_targets
    named: Value = targets if targets == "all-linear" else [name.strip() for name in targets.split(",") if name.strip()]
    if spec.strategy == "megatron":
        found = [O(f"{prefix}.lora.rank", spec.lora_rank), O(f"{prefix}.lora.alpha", spec.scale)]
    else:
        found = [
            O(f"{prefix}.lora_rank", spec.lora_rank),
            O(f"{prefix}.lora_alpha", spec.scale),
            O(f"{prefix}.target_modules", named),
        ]
    return [*found, *([O(f"{prefix}.lora.merge", True)] if merge else [])]


def precision(prefix: str, spec: EngineSpec, setup: Setup) -> list[O]:
    """Compute type: weights stay float32, layers compute in it; Megatron computes in half precision only."""
    if spec.strategy == "megatron":
        return [O(f"{prefix}.dtype", "bfloat16")]
    name = DTYPES[spec.dtype]
    mixed = {"param_dtype": name, "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
    compile_ = [O(f"{prefix}.use_torch_compile", False)] if setup.device == "cpu" else []
    return [O(f"{prefix}.model_dtype", "fp32"), O(f"{prefix}.mixed_precision", mixed, adds=True), *compile_]


def attention(prefix: str, setup: Setup) -> list[O]:
    """A CPU has no flash attention, and so no packed rows without padding."""
    if setup.device == "cuda":
        return [O(f"{prefix}.use_remove_padding", True)]
    return [
        O(f"{prefix}.use_remove_padding", False),
        O(f"{prefix}.override_config.attn_implementation", "sdpa", adds=True),
    ]


def resume(setup: Setup) -> list[O]:
    """Loggers, where checkpoints go and where it goes on from; when to save is decided step by step, not by verl."""
    return [
        O("trainer.logger", list(LOGGERS)),
        O("trainer.project_name", "lathe"),
        O("trainer.experiment_name", setup.run.parent.parent.parent.name),
        O("trainer.default_local_dir", setup.checkpoints),
        O("trainer.save_freq", -1),
        O("trainer.resume_mode", "disable" if setup.resume is None else "resume_path"),
        O("trainer.resume_from_path", setup.started_from),
    ]

"""What becomes of each setting of a training on verl; a test holds that no setting of any kind is missing here.

rendered  becomes an override of verl's config
runner    acted on by our side of the engine: when to save, what to report, what to keep
platform  the queue's and the form's, the same for every engine
refused   verl has nothing like it: anything but the default is an error beside the field
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from platform_core.errors import Text, text
from platform_core.jobs.spec import is_shown, setting_of

Use = Literal["rendered", "runner", "platform", "refused"]

FIELDS: dict[str, Use] = {
    # the queue's
    "cpu_slots": "platform",
    "memory_gib": "platform",
    "gpus": "platform",
    "gpu_indexes": "platform",
    "gpu_memory_gib": "platform",
    "time_limit_hours": "platform",
    "retries": "platform",
    "retry_wait_seconds": "platform",
    "environment": "platform",
    "engine": "platform",
    # every training's
    "seed": "rendered",
    "max_steps": "rendered",
    "epochs": "rendered",
    "batch_size": "rendered",
    "gradient_accumulation_steps": "rendered",
    "learning_rate": "rendered",
    "lr_scheduler": "rendered",
    "min_lr_ratio": "rendered",
    "decay_share": "refused",
    "warmup_steps": "rendered",
    "optimizer": "refused",
    "weight_decay": "rendered",
    "adam_beta1": "rendered",
    "adam_beta2": "rendered",
    "max_grad_norm": "rendered",
    "tuning": "rendered",
    "lora_rank": "rendered",
    "lora_alpha": "rendered",
    "lora_targets": "rendered",
    "lora_dropout": "refused",
    "lora_variant": "refused",
    "quantization": "refused",
    "double_quantization": "refused",
    "adapter_output": "runner",
    "dtype": "rendered",
    "gradient_checkpointing": "rendered",
    "device": "rendered",
    "model": "rendered",
    "dataset": "rendered",
    "validation_share": "runner",
    "validation_dataset": "runner",
    "eval_every": "rendered",
    "early_stopping": "refused",
    "early_stopping_metric": "refused",
    "logging_steps": "runner",
    "save_every": "runner",
    "save_every_minutes": "runner",
    "keep_checkpoints": "runner",
    "keep_best": "runner",
    "best_is": "runner",
    "final_model": "runner",
    # verl's own
    "strategy": "rendered",
    "param_offload": "rendered",
    "optimizer_offload": "rendered",
    "verl_overrides": "rendered",
    "nodes": "rendered",
    "ray_address": "rendered",
    "rollout_tensor_parallel": "rendered",
    "gpu_memory_utilization": "rendered",
    # of several processes on hf
    "parallel": "refused",
    "processes": "refused",
    "offload": "refused",
    # SFT's
    "max_length": "rendered",
    "completion_only_loss": "runner",
    "last_answer_only": "runner",
    "chat_template": "runner",
    "chat_template_text": "runner",
    "packing": "refused",
    "neftune_alpha": "refused",
    # of reinforcement learning
    "reward": "runner",
    "answer_extraction": "runner",
    "answer_marker": "runner",
    "num_generations": "rendered",
    "max_completion_length": "rendered",
    "temperature": "rendered",
    "top_p": "rendered",
    "mask_truncated": "refused",
    "minibatches": "rendered",
    "entropy_coef": "rendered",
    "kl_coef": "rendered",
    "kl_correction": "rendered",
    "num_iterations": "rendered",
    "clip_epsilon": "rendered",
    "clip_epsilon_high": "rendered",
    "loss_type": "rendered",
    "scale_rewards": "rendered",
    "normalize_advantages": "refused",
    # PPO's
    "critic_learning_rate": "rendered",
    "critic_model": "rendered",
    "critic_warmup_steps": "rendered",
    "gamma": "rendered",
    "gae_lambda": "rendered",
    "value_clip": "rendered",
    "kl_estimator": "rendered",
    # REINFORCE++'s
    "baseline": "rendered",
}

SCHEDULES = ("linear", "constant", "constant_with_warmup", "cosine", "cosine_with_min_lr")
NOT_HERE = text("verl has nothing like it; leave the default, or choose the engine hf.")


def refused(spec: Any) -> Iterator[tuple[str, Text]]:
    """The settings of a spec that verl can't honour, each with the reason and the way out."""
    values = spec.model_dump()
    for name, field in type(spec).model_fields.items():
        asked = values[name] != field.default and is_shown(setting_of(field, name), values)
        if asked and FIELDS.get(name) == "refused":
            yield name, NOT_HERE
    if spec.lr_scheduler not in SCHEDULES:
        said = text("verl has linear, cosine and constant schedules; choose one of them, or the engine hf.")
        yield "lr_scheduler", said
    if spec.tuning == "qlora":
        yield "tuning", text("verl trains all weights or LoRA; choose one of them, or the engine hf.")
    if spec.device == "mps":
        yield "device", text("verl runs on NVIDIA GPUs, and on CPUs to try it out; choose auto, or the engine hf.")
    if spec.device == "cpu" and spec.strategy != "fsdp2":
        yield "strategy", text("on a CPU only FSDP2 works.")
    if spec.strategy == "megatron" and spec.dtype != "bfloat16":
        yield "dtype", text("Megatron computes in bfloat16; choose it, or another sharding.")
    if getattr(spec, "loss_type", "") == "bnpo":
        yield "loss_type", text("verl averages over the whole batch, not over parts of it; choose DAPO.")
    if getattr(spec, "scaling", "") == "batch":
        yield "scale_rewards", text("verl divides by the spread of the group or by nothing; choose one of them.")
    group = getattr(spec, "num_generations", 1)
    if spec.batch_size * spec.gradient_accumulation_steps % group:
        yield (
            "batch_size",
            text(
                "an update of verl takes whole groups: batch size × gradient accumulation must be a multiple of the "
                "group size {group}.",
                group=group,
            ),
        )

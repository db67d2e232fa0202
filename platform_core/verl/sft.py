"""SFT as overrides of verl's `sft_trainer_engine` config."""

from __future__ import annotations

from platform_core.algorithms.sft import SFTSpec
from platform_core.verl.common import adapter, attention, precision, resume, schedule
from platform_core.verl.override import Override as O
from platform_core.verl.setup import Setup

CONFIG = "sft_trainer_engine"
ROWS = "pkg://runners.engines.verl.token_rows"


def overrides(spec: SFTSpec, setup: Setup) -> list[O]:
    """The settings of a job in verl's keys. One step trains `batch_size` × `gradient_accumulation_steps` rows a GPU."""
    world = setup.gpus_per_node
    megatron = spec.strategy == "megatron"
    return [
        O("engine", "megatron" if megatron else "fsdp"),
        O("optim", "megatron" if megatron else "fsdp"),
        O("model.path", str(setup.model)),
        O("model.enable_gradient_checkpointing", spec.gradient_checkpointing),
        *attention("model", setup),
        *adapter("model", spec),
        O("data.train_files", setup.train_file),
        O("data.val_files", setup.validation_file if setup.validation else None),
        O("data.custom_cls.path", ROWS),
        O("data.custom_cls.name", "TokenRows"),
        O("data.train_batch_size", spec.batch_size * spec.gradient_accumulation_steps * world),
        O("data.micro_batch_size_per_gpu", spec.batch_size),
        O("data.use_dynamic_bsz", False),
        O("data.max_length", spec.max_length),
        O("data.num_workers", 0),
        *([] if megatron else [O("engine.strategy", spec.strategy)]),
        O("engine.param_offload", spec.param_offload),
        O("engine.optimizer_offload", spec.optimizer_offload),
        O("engine.seed", spec.seed),
        *precision("engine", spec, setup),
        *schedule("optim", spec, spec.learning_rate, setup),
        O("checkpoint.save_contents", ["model", "optimizer", "extra"]),
        O("trainer.device", setup.device),
        O("trainer.nnodes", 1),
        O("trainer.n_gpus_per_node", world),
        O("trainer.seed", spec.seed),
        O("trainer.total_epochs", setup.total_epochs),
        O("trainer.total_training_steps", setup.total_steps),
        O("trainer.test_freq", setup.eval_every if setup.validation else -1),
        *resume(setup),
    ]

"""The frame around every transformers Trainer: arguments from the spec, resume, stop, checkpoints, NaN."""

from __future__ import annotations

import gc
import math
from typing import Any

import torch
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from platform_core.algorithms.training import TrainingSpec
from platform_core.errors import Problem
from runners.engines.hf import adapter, checkpoint, optimization, together, validation
from runners.engines.hf.reporting import Reporting
from runners.engines.hf.saving import Saving, broken_loss
from runners.job import Run, Stopped
from runners.report import Report

SAMPLING_BROKE = "probability tensor contains"


def prepare(run: Run) -> None:
    """Set what decides a result in this process, whether it started cold or was forked: threads and seeds."""
    torch.set_num_threads(run.threads)
    set_seed(run.spec.seed)
    transformers_logging.disable_progress_bar()


def pick_device(device: str = "auto") -> str:
    """The device to compute on: cuda, mps or cpu; raises Problem when the wanted one is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device, True):
        raise Problem(
            "There is no {device} device here: set the device to auto or cpu.", fields=("device",), device=device
        )
    return device if device != "auto" else next((name for name, is_there in there.items() if is_there), "cpu")


def training_arguments(run: Run, spec: TrainingSpec) -> dict[str, Any]:
    """The arguments that all TRL trainers share, from the spec; raises Problem for a device that is not there, or that
    can't do what the spec asks."""
    cpu = pick_device(spec.device) == "cpu"
    if cpu and spec.world_size > 1 and spec.parallel != "ddp":  # accelerate would take DDP without a word
        raise Problem(
            "FSDP and DeepSpeed need GPUs, and the job would run on the CPU: take DDP or one process.",
            fields=("parallel",),
        )
    return {
        "output_dir": str(run.checkpoints / checkpoint.SAVING),
        "max_steps": spec.max_steps or -1,
        "num_train_epochs": spec.epochs,
        "per_device_train_batch_size": spec.batch_size,
        "gradient_accumulation_steps": spec.gradient_accumulation_steps,
        "learning_rate": spec.learning_rate,
        "lr_scheduler_type": spec.lr_scheduler,
        "warmup_steps": spec.warmup_steps,
        "weight_decay": spec.weight_decay,
        "adam_beta1": spec.adam_beta1,
        "adam_beta2": spec.adam_beta2,
        **optimization.arguments(spec),
        **validation.arguments(spec),
        "max_grad_norm": spec.max_grad_norm,
        "bf16": spec.dtype == "bfloat16",
        "gradient_checkpointing": spec.gradient_checkpointing,
        "use_cpu": cpu,
        "dataloader_pin_memory": not cpu,
        "seed": spec.seed,
        "logging_steps": spec.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",  # Saving decides
        "report_to": "none",
        "disable_tqdm": True,
    }


class Finite(TrainerCallback):  # type: ignore[misc]
    """NaN ends the training before the weights change."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        # The Trainer's running sum since the last log: one value that is not finite keeps it so.
        if together.any_of(not math.isfinite(self.trainer._tr_loss.item())):
            raise broken_loss(state.global_step + 1, args.learning_rate)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        if not math.isfinite((logs or {}).get("grad_norm", 0.0)):
            raise broken_loss(state.global_step, args.learning_rate)


def run_training(trainer: Trainer, run: Run, report: Report) -> dict[str, object]:
    """Train to the end, from the last whole checkpoint when there is one; returns the last logged numbers.

    Raises Stopped after a wish (its checkpoint is whole), Problem on NaN, OSError when the disk is full.
    """
    found = resume_point(run, report)
    start = found.whole
    tokens = checkpoint.trained_tokens(start) if start else 0
    rows = trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps * trainer.args.world_size
    reporting = Reporting(report, rows, tokens)
    reporting.values |= checkpoint.saved_values(start) if start else {}
    saving = Saving(trainer, run, report, reporting, found)
    trainer.remove_callback(PrinterCallback)
    assert isinstance(run.spec, TrainingSpec)
    for callback in (reporting, Finite(trainer), validation.EarlyStopping(run.spec, report, saving.stopping), saving):
        trainer.add_callback(callback)
    if trainer.args.device.type == "cpu":  # with the number of the process torch would load no optimizer to it
        trainer.args._setup_devices = torch.device("cpu")
    adapter.keep_float32(trainer.model)
    optimization.set_up(trainer, run.spec)
    if hasattr(trainer, "_total_train_tokens"):
        trainer._total_train_tokens = tokens
    if together.of_first(int(report.wish is not None)):
        raise Stopped
    gc.collect()
    gc.freeze()  # modules, model and rows stay to the end: a collection between steps need not look through them
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    except RuntimeError as error:
        if SAMPLING_BROKE in str(error):
            raise broken_loss(trainer.state.global_step + 1, trainer.args.learning_rate) from error
        checkpoint.raise_if_disk_full(run.checkpoints)
        raise
    finally:
        if run.rank == 0:
            checkpoint.sweep(run.checkpoints)
    if saving.stopped:
        raise Stopped
    if run.spec.final_model == "best":
        take_best(trainer, saving, report)
    together.whole_weights(trainer.model)
    return {**reporting.values, "steps": trainer.state.global_step, "parameters": trainer.model.num_parameters()}


def resume_point(run: Run, report: Report) -> checkpoint.Found:
    """The checkpoint to go on from, half-written ones swept; what was reported after it is forgotten and marked."""
    run.checkpoints.mkdir(exist_ok=True)
    if run.rank == 0:
        checkpoint.sweep(run.checkpoints)
    together.wait()
    found = checkpoint.find(run.checkpoints, run.id)
    step = checkpoint.step_of(found.whole) if found.whole else 0
    onward = f"goes on from step {step}" if step else "begins anew"
    for folder, wrong in found.damaged:
        bad = checkpoint.step_of(folder)
        said = f"checkpoint of step {bad} is damaged ({wrong}): {onward}"
        report.event("damaged_checkpoint", said, level="warning", at=bad, reason=wrong)
    report.resume_at(step, run.attempt)
    return found


def take_best(trainer: Trainer, saving: Saving, report: Report) -> None:
    """Put the weights of the best kept checkpoint into the model; a word where there is none."""
    found = saving.best.of([place for _, place in checkpoint.numbered(saving.run.checkpoints)]) if saving.best else None
    if found is None:
        report.event(
            "no_best", "no checkpoint holds the metric of the best one: the last weights stay", level="warning"
        )
        return
    trainer._load_from_checkpoint(str(found))
    step = checkpoint.step_of(found)
    report.event("took_best", f"the model is that of step {step}, the best by {saving.best.metric}", at=step)

"""When a training saves, and what it saves beside the Trainer's own files, so that it goes on exactly as it would have.

A Trainer's checkpoint lacks the sums since the last log: without them the first point after a pause would differ.
"""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from platform_core.algorithms.training import TrainingSpec
from platform_core.clock import monotonic
from platform_core.errors import Problem
from platform_core.files import read_json, remove_whole
from runners.engines.hf import checkpoint, together
from runners.engines.hf.reporting import Reporting
from runners.job import Run
from runners.report import Report

SUMS = "sums.json"
GO_ON, SAVE, STOP = range(3)


class Saving(TrainerCallback):  # type: ignore[misc]
    """Saves every so many steps or minutes and when a wish comes; each checkpoint becomes whole before it counts.

    `stopped` says that a wish ended the training. Only steps between rollouts are saved: what GRPO has buffered to
    train on more than once is in no checkpoint. A periodic checkpoint that can't be written ends nothing: the training
    goes on, and the older one stays.
    """

    def __init__(
        self, trainer: Trainer, run: Run, report: Report, reporting: Reporting, found: checkpoint.Found
    ) -> None:
        assert isinstance(run.spec, TrainingSpec)
        self.trainer, self.run, self.report, self.reporting = trainer, run, report, reporting
        self.spec, self.start, self.damaged = run.spec, found.whole, found.damaged
        self.best = checkpoint.Best(run.spec.keep_best, run.spec.best_is == "higher") if run.spec.keep_best else None
        self.stopped = self.warned = False
        self.stopping: dict[str, float] = {}
        self.saved_step = self.tried_step = 0
        self.tried_at = monotonic()
        self._write = trainer._save_checkpoint
        trainer._save_checkpoint = self.save

    @property
    def sums_name(self) -> str:
        """The file of what this process has added up; each of several has its own."""
        return f"rank-{self.run.rank}-{SUMS}" if self.run.rank else SUMS

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        self.saved_step = self.tried_step = state.global_step
        self.tried_at = monotonic()
        sums = read_json(self.start / self.sums_name) if self.start else None
        if sums is not None:
            restore_sums(self.trainer, sums)
            self.stopping.update(sums.get("stopping", {}))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        step = state.global_step
        control.should_save = False
        if step == self.run.pause_at:
            signal.raise_signal(signal.SIGUSR1)
        if step >= state.max_steps or step % resumable_every(self.trainer):
            return
        wish, due = self.report.wish is not None, self.is_due(step)
        decided = together.of_first(STOP if wish else SAVE if due else GO_ON)
        if decided == STOP:
            self.stopped = control.should_save = control.should_training_stop = True
            self.report.progress(
                step, state.max_steps, epoch=round(state.epoch or 0.0, 4), tokens=self.reporting.tokens
            )
        else:
            control.should_save = decided == SAVE
        if control.should_save and self.best and self.best.metric.startswith("eval_"):
            control.should_evaluate = True  # measured first, so that the checkpoint knows its own value

    def is_due(self, step: int) -> bool:
        """Whether the policy asks for a checkpoint now; one that could not be written is tried again with the next."""
        every, minutes = self.spec.save_every, self.spec.save_every_minutes
        by_step = every is not None and step // every > self.tried_step // every
        return by_step or (minutes is not None and monotonic() - self.tried_at >= 60 * minutes)

    def save(self, model: Any, trial: Any) -> None:
        """Write the checkpoint of this step and make it whole; takes the place of the Trainer's own method."""
        step = self.trainer.state.global_step
        if together.any_of(not all(bool(torch.isfinite(p).all()) for p in model.parameters())):
            raise broken_loss(step, self.trainer.args.learning_rate)
        self.tried_step = step
        try:
            self._complete(model, trial, step)
        except Exception as error:
            if self.run.rank == 0:
                checkpoint.sweep(self.run.checkpoints)
            reason = write_error(error, self.run.checkpoints)
            if self.stopped or reason is None:
                raise
            said = f"the checkpoint of step {step} could not be saved ({reason.strerror}): the training goes on, "
            said += f"and can be resumed from step {self.saved_step}" if self.saved_step else "and nothing is saved yet"
            self.report.event("checkpoint_failed", said, level="warning", at=step, reason=reason.strerror)
            return
        finally:
            self.tried_at = monotonic()
        self.saved_step = step
        self.report.event("checkpoint", f"checkpoint of step {step} saved", at=step)

    def _complete(self, model: Any, trial: Any, step: int) -> None:
        part = Path(self.trainer.args.output_dir) / f"checkpoint-{step}"

        def write() -> None:
            # A run that goes on from here forgets what comes later, so what came before must be stored.
            self.report.must_store()
            self._write(model, trial)
            sums = sums_of(self.trainer) | {"stopping": self.stopping}
            (part / self.sums_name).write_text(json.dumps(sums))

        together.do(write)
        together.do(lambda: self._make_whole(part, step) if self.run.rank == 0 else None)

    def _make_whole(self, part: Path, step: int) -> None:
        values, tokens = self.reporting.values, self.reporting.tokens
        if self.best and self.best.metric not in values and not self.warned:
            self.warned = True
            said = f"the best checkpoint can't be told: {self.best.metric} is not reported; there are "
            self.report.event("no_best", said + ", ".join(sorted(values)), level="warning")
        keep, best = self.spec.keep_checkpoints, self.best
        checkpoint.complete(
            part, self.run.checkpoints, step, keep, tokens, job=self.run.id, values=finite(values), best=best
        )
        checkpoint.sweep(self.run.checkpoints)
        for folder, _ in self.damaged:  # now that a whole one is there
            if (folder / checkpoint.MARKER).is_file() and checkpoint.step_of(folder) != step:
                remove_whole(folder)
        self.damaged = ()


def resumable_every(trainer: Trainer) -> int:
    """Steps between two that can be resumed exactly: those after which GRPO has no completions left to train on."""
    rollout = getattr(trainer.args, "steps_per_generation", None) or 1
    passes = rollout * (getattr(trainer.args, "num_iterations", None) or 1)
    each: int = trainer.args.gradient_accumulation_steps
    return math.lcm(passes, each) // each


def sums_of(trainer: Trainer) -> dict[str, object]:
    """What the Trainer and TRL have added up since the last log."""
    sums: dict[str, object] = {
        "loss": trainer._tr_loss.item(),
        "loss_before": trainer._total_loss_scalar,
        "logged": trainer._globalstep_last_logged,
    }
    if hasattr(trainer, "_metrics"):
        sums["metrics"] = {name: [as_number(v) for v in values] for name, values in trainer._metrics["train"].items()}
        sums["tokens"] = as_number(trainer._total_train_tokens)
    return sums


def restore_sums(trainer: Trainer, sums: dict[str, Any]) -> None:
    """Set them as they were."""
    trainer._tr_loss = torch.tensor(sums["loss"], device=trainer.args.device)
    trainer._total_loss_scalar = sums["loss_before"]
    trainer._globalstep_last_logged = sums["logged"]
    if "metrics" in sums:
        trainer._metrics["train"].update(sums["metrics"])
        trainer._total_train_tokens = sums["tokens"]


def as_number(value: Any) -> float | int:
    """A number that JSON keeps exactly."""
    return value.item() if hasattr(value, "item") else value  # type: ignore[no-any-return]


def finite(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


def write_error(error: Exception, folder: Path) -> OSError | None:
    """The OSError behind a failed write: torch and safetensors report a full disk without the reason."""
    if isinstance(error, OSError):
        return error
    try:
        checkpoint.raise_if_disk_full(folder)
    except OSError as found:
        return found
    return None


def broken_loss(step: int, learning_rate: float) -> Problem:
    """The sentence for a training that blew up."""
    return Problem(
        "The loss became NaN at step {step}: the training blew up. Lower the learning rate ({learning_rate}), "
        "lengthen the warm-up, or look for broken rows in the dataset.",
        fields=("learning_rate",),
        step=step,
        learning_rate=learning_rate,
    )

"""The frame around every training on verl: resume, run, follow, whole checkpoints, the model at the end."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

from platform_core.algorithms.engines import EngineSpec, VerlRolloutSpec
from platform_core.errors import Problem
from platform_core.files import remove_whole
from platform_core.verl.command import command
from platform_core.verl.compose import compose
from platform_core.verl.ray_folder import ray_folder, ray_folders
from platform_core.verl.setup import Setup
from platform_core.verl.vllm import no_vllm, rolls_out_here
from runners.engines.hf import checkpoint
from runners.engines.hf.trainer import pick_device, resume_point
from runners.engines.hf.validation import ROUNDS
from runners.engines.verl.follow import Follower
from runners.engines.verl.output import save_output
from runners.engines.verl.process import run_trainer
from runners.engines.verl.stepping import Policy
from runners.job import Run, Stopped
from runners.report import Report

FOLDER = "verl"


def begin(run: Run) -> Setup:
    """An empty folder for the attempt, and where it computes. Raises Problem for a device that is not there."""
    spec = run.spec
    assert isinstance(spec, EngineSpec)
    folder = run.folder / "attempts" / str(run.attempt) / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if isinstance(spec, VerlRolloutSpec) and spec.ray_address:
        # The trainer's processes are on the cluster's nodes, whatever this machine has.
        gpus = spec.gpus or 1
        return Setup(folder, run.paths["model"], gpus_per_node=gpus, ray_folder=empty_ray_folder(run))
    device = pick_device(spec.device)
    if device == "mps":
        device = "cpu"
    if device == "cpu" and spec.strategy != "fsdp2":
        raise Problem("On a CPU only FSDP2 works: choose it as sharding.", fields=("strategy",))
    if device == "cuda" and rolls_out_here(spec) and importlib.util.find_spec("vllm") is None:
        raise no_vllm(spec)
    return Setup(
        run=folder,
        model=run.paths["model"],
        device="cuda" if device == "cuda" else "cpu",
        gpus_per_node=gpus_here() if device == "cuda" else 1,
        ray_folder=empty_ray_folder(run),
    )


def empty_ray_folder(run: Run) -> str:
    """Where Ray of this attempt keeps its sockets; those of earlier attempts go."""
    for old in ray_folders(run.folder):
        shutil.rmtree(old, ignore_errors=True)
    return str(ray_folder(run.folder, run.attempt))


def gpus_here() -> int:
    """GPUs that this process may use."""
    import torch

    return max(1, torch.cuda.device_count())


def run_verl(run: Run, report: Report, setup: Setup, batches: int, total: int, tokenizer: Any) -> dict[str, object]:
    """Train `total` steps, `batches` of them an epoch, and leave the model with its tokenizer; the last numbers.

    Raises Stopped after a wish (its checkpoint is whole), Problem when verl fails or ends early.
    """
    spec = run.spec
    assert isinstance(spec, EngineSpec)
    found = resume_point(run, report)
    resumed = checkpoint.step_of(found.whole) if found.whole else None
    if resumed is not None and found.whole is not None:
        (setup.run / f"global_step_{resumed}").symlink_to(found.whole)
    every = spec.eval_every or max(1, total // ROUNDS)
    setup = dataclasses.replace(
        setup, resume=resumed, total_steps=total, total_epochs=-(-total // batches), eval_every=every
    )
    if report.wish is not None:
        raise Stopped
    Policy(spec.save_every, spec.save_every_minutes, run.pause_at).write(setup.run)
    asked = command(run.kind, spec, setup, sys.executable)
    compose(sys.executable, asked.config, asked.overrides, asked.typed)
    (setup.run / "command.txt").write_text(asked.shell() + "\n")
    follower = Follower(run, report, setup, total, found)
    if resumed is None or resumed < total:
        report.phase("starting verl")
        if run_trainer(asked, run, report, setup, follower.look):
            report.wish = report.wish or "pause"
            raise Stopped
        if follower.step < total:
            raise Problem(
                "verl ended after step {step} of {total} without an error: the log has what it said last.",
                step=follower.step,
                total=total,
            )
    parameters = save_output(run, report, last_checkpoint(run, report, follower), tokenizer)
    clear(setup)
    return {**follower.told(), "steps": total, "parameters": parameters}


def clear(setup: Setup) -> None:
    """Remove what has been taken over; the command and verl's own metrics file stay."""
    for name in ("train.parquet", "validation.parquet", "saving", "rollouts", "validations"):
        remove_whole(setup.run / name)


def last_checkpoint(run: Run, report: Report, follower: Follower) -> Path:
    """The checkpoint whose weights are the result: the last, or the best that is kept. Raises Problem without one."""
    spec = run.spec
    assert isinstance(spec, EngineSpec)
    kept = [folder for _, folder in checkpoint.numbered(run.checkpoints)]
    best = follower.best.of(kept) if follower.best and spec.final_model == "best" else None
    if best is not None:
        step = checkpoint.step_of(best)
        report.event("took_best", f"the model is that of step {step}, the best by {spec.keep_best}", at=step)
        return best
    newest = checkpoint.last_whole(run.checkpoints)
    if newest is None:
        raise Problem("verl left no whole checkpoint: look for a full disk, then start the job again.")
    return newest

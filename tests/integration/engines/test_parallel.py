"""Several processes train one model: as one process would, pausing together, ending together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from platform_core.algorithms.training import TrainingSpec
from platform_core.errors import Problem
from platform_core.metrics.reader import Reader
from runners.engines.hf.trainer import training_arguments
from runners.job import load_run
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

SFT = {**TRAINING, "max_steps": 12, "batch_size": 4, "max_length": 32}
TWO = {"parallel": "ddp", "processes": 2}
GRPO = {**TRAINING, "max_steps": 4, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}


def started(job: Job) -> subprocess.Popen[bytes]:
    with (job.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "runners.programs.train", str(job.folder)], stdout=log, stderr=log
        )


def pause_at(job: Job, step: int | None) -> None:
    """Let the job pause by itself after a step, or not."""
    run = job.folder / "attempts" / "1" / "run.json"
    run.write_text(json.dumps(json.loads(run.read_text()) | {"pause_at": step}))


def curve(job: Job, name: str) -> list[float]:
    with Reader(job.folder / "metrics.sqlite") as run:
        return [float(value) for value in run.points(name)[1]]


def reached(job: Job, step: int) -> bool:
    with Reader(job.folder / "metrics.sqlite") as run:
        return max((at for at, _ in run.latest().values()), default=0) >= step


def running(job: Job, step: int) -> subprocess.Popen[bytes]:
    """The job's process once it has reported a step, or has ended."""
    process = started(job)
    while process.poll() is None and not ((job.folder / "metrics.sqlite").exists() and reached(job, step)):
        time.sleep(0.05)
    return process


def ranks_of(process: subprocess.Popen[bytes]) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.parametrize("parallel", ["fsdp", "zero2", "zero3"])
def test_what_would_become_ddp_on_a_cpu_without_a_word_is_refused(parallel: str, tmp_path: Path) -> None:
    spec = SFT | {"parallel": parallel, "processes": 2, "device": "cpu"}
    run = load_run(make_job(tmp_path / "job", "sft", spec, model=tmp_path, dataset=tmp_path).folder)
    assert isinstance(run.spec, TrainingSpec)
    with pytest.raises(Problem, match="need GPUs"):
        training_arguments(run, run.spec)
    alone = run.spec.model_copy(update={"parallel": "ddp"})
    assert training_arguments(run, alone)["use_cpu"]


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_batch_and_pause_exactly(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    inputs = {"model": model, "dataset": files["sft"]}
    alone = make_job(tmp_path / "alone", "sft", SFT | {"batch_size": 8}, **inputs)
    assert forked(alone) == 0, alone.log
    both = make_job(tmp_path / "both", "sft", SFT | TWO, **inputs)
    assert started(both).wait() == 0, both.log
    assert curve(both, "loss") == pytest.approx(curve(alone, "loss"), abs=2e-4)
    assert curve(both, "num_tokens") == curve(alone, "num_tokens")
    assert both.metrics["steps"] == 12
    paused = make_job(tmp_path / "paused", "sft", SFT | TWO, **inputs)
    pause_at(paused, 5)
    assert started(paused).wait() == 0, paused.log
    assert (paused.result["status"], paused.result["step"]) == ("paused", 5)
    assert (paused.folder / "checkpoints" / "step-5" / "complete.json").is_file()
    pause_at(paused, None)
    assert started(paused).wait() == 0, paused.log
    assert paused.weights == both.weights
    assert curve(paused, "loss") == curve(both, "loss")
    assert not list(paused.folder.glob("attempts/*/rank-*"))


@pytest.mark.thorough
def test_grpo_in_two_processes_and_one_that_dies_ends_both(
    tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    inputs = {"model": taught, "dataset": files["grpo"]}
    job = make_job(tmp_path / "job", "grpo", GRPO | TWO | {"max_steps": 2}, **inputs)
    assert started(job).wait() == 0, job.log
    assert len(curve(job, "reward")) == 2
    dying = make_job(tmp_path / "dying", "grpo", GRPO | TWO | {"max_steps": 10_000}, **inputs)
    process = running(dying, 1)
    process.send_signal(signal.SIGUSR1)
    assert process.wait() == 0, dying.log
    assert dying.result["status"] == "paused"
    process = running(dying, int(str(dying.result["step"])) + 1)
    ranks = ranks_of(process)
    assert len(ranks) == 2, dying.log
    os.kill(ranks[1], signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (dying.folder / "result.json").exists()
    assert "of 2 processes" in dying.log, dying.log
    for pid in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

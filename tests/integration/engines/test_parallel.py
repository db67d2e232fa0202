"""Several processes train one model: as one process would, pausing together, ending together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

SFT = {**TRAINING, "max_steps": 12, "batch_size": 4, "max_length": 32}
TWO = {"parallel": "ddp", "processes": 2}
GRPO = {**TRAINING, "max_steps": 4, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}


def started(job: Job) -> subprocess.Popen[bytes]:
    with (job.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "runners.programs.train", str(job.folder)], stdout=log, stderr=log
        )


def curve(job: Job, name: str) -> list[float]:
    with Reader(job.folder / "metrics.sqlite") as run:
        return [float(value) for value in run.points(name)[1]]


def reached(job: Job, step: int) -> bool:
    with Reader(job.folder / "metrics.sqlite") as run:
        return max((at for at, _ in run.latest().values()), default=0) >= step


def ranks_of(process: subprocess.Popen[bytes]) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


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
    process = started(paused)
    while process.poll() is None and not (paused.folder / "metrics.sqlite").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    assert process.wait() == 0, paused.log
    assert paused.result["status"] == "paused"
    assert started(paused).wait() == 0, paused.log
    assert paused.weights == both.weights
    assert curve(paused, "loss") == curve(both, "loss")
    assert not list(paused.folder.glob("attempts/*/rank-*"))


@pytest.mark.slow
def test_grpo_in_two_processes_and_one_that_dies_ends_both(
    tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    inputs = {"model": taught, "dataset": files["grpo"]}
    job = make_job(tmp_path / "job", "grpo", GRPO | TWO | {"max_steps": 2}, **inputs)
    assert started(job).wait() == 0, job.log
    assert len(curve(job, "reward")) == 2
    dying = make_job(tmp_path / "dying", "grpo", GRPO | TWO | {"max_steps": 10_000}, **inputs)
    process = started(dying)
    while process.poll() is None and not (dying.folder / "metrics.sqlite").exists():
        time.sleep(0.05)
    while process.poll() is None and not reached(dying, 1):
        time.sleep(0.05)
    ranks = ranks_of(process)
    assert len(ranks) == 2, dying.log
    os.kill(ranks[1], signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (dying.folder / "result.json").exists()
    assert "of 2 processes" in dying.log, dying.log
    for pid in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

"""The metrics' disk is full while a real model trains: no checkpoint is newer than what is stored, no step is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform_core.metrics.reader import Reader
from runners.engines.hf import checkpoint
from tests.integration.engines.jobs import TRAINING, Job, ask_at, at_step, forked, make_job

SPEC = {**TRAINING, "max_steps": 16, "batch_size": 8, "max_length": 32, "save_every": 4}
FULL_AT = 7


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes; mounting needs root, as the tests' container has."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "lathe-test", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def whole(tmp_path: Path, files: dict[str, Path], model: Path) -> Job:
    """The same training with room enough."""
    job = make_job(tmp_path / "whole", "sft", SPEC, model=model, dataset=files["sft"])
    assert forked(job) == 0, job.log
    return job


@pytest.fixture
def job(tmp_path: Path, disk: Path, files: dict[str, Path], model: Path) -> Job:
    """Its metrics, result and output are on the small disk, its checkpoints where there is room."""
    job = make_job(disk / "job", "sft", SPEC, model=model, dataset=files["sft"])
    elsewhere = tmp_path / "checkpoints"
    elsewhere.mkdir()
    (job.folder / "checkpoints").symlink_to(elsewhere)
    return job


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def free(disk: Path) -> None:
    (disk / "ballast").unlink()


def both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    def first() -> None:
        one()
        other()

    return first


def curve(job: Job, name: str = "loss") -> tuple[list[int], list[float]]:
    with Reader(job.folder / "metrics.sqlite") as run:
        steps, values = run.points(name)
    return steps.tolist(), values.tolist()


def saved(job: Job) -> list[int]:
    return sorted(checkpoint.step_of(p) for p in (job.folder / "checkpoints").glob("step-*"))


def test_killed_while_metrics_cannot_be_stored_nothing_is_lost(job: Job, whole: Job, disk: Path) -> None:
    """The checkpoints of steps 8 and 12 would be newer than what is stored: they are not made."""
    ready = both(at_step(FULL_AT, lambda: fill(disk)), at_step(13, lambda: os.kill(os.getpid(), signal.SIGKILL)))
    assert forked(job, ready) == -signal.SIGKILL
    assert saved(job) == [4]
    assert curve(job)[0][-1] in range(4, FULL_AT + 1)
    free(disk)
    assert forked(job) == 0, job.log
    assert curve(job) == curve(whole)
    assert curve(job, "grad_norm") == curve(whole, "grad_norm")
    assert job.weights == whole.weights


def test_with_room_again_the_training_goes_on_and_what_it_measured_is_stored(job: Job, whole: Job, disk: Path) -> None:
    assert forked(job, both(at_step(FULL_AT, lambda: fill(disk)), at_step(10, lambda: free(disk)))) == 0, job.log
    assert curve(job) == curve(whole)
    assert job.weights == whole.weights
    assert saved(job) == [4, 12]
    with Reader(job.folder / "metrics.sqlite") as run:
        failed = [event.text for event in run.events() if event.kind == "checkpoint_failed"]
    assert [text.startswith("the checkpoint of step 8 could not be saved") for text in failed] == [True]
    assert failed[0].endswith("can be resumed from step 4")


@pytest.mark.parametrize("asked", ["", "pause"])
def test_a_disk_that_stays_full_is_told_and_started_again_it_completes(
    job: Job, whole: Job, disk: Path, asked: str
) -> None:
    """Whether it was asked to pause or could not store its output."""
    filling, wish = at_step(FULL_AT, lambda: fill(disk)), ask_at(10, signal.SIGUSR1)
    assert forked(job, both(filling, wish) if asked else filling) == 1
    assert job.result["status"] == "failed"
    assert "disk is full" in job.sentence
    assert saved(job) == [4]
    free(disk)
    assert forked(job) == 0, job.log
    assert curve(job) == curve(whole)
    assert job.weights == whole.weights

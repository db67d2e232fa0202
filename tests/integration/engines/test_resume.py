"""Paused, killed or out of disk, a training goes on as if nothing had happened; nothing half written is visible."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from platform_core.metrics.reader import Reader
from runners.report import Report
from tests.integration.engines.jobs import TRAINING, Job, ask_at, at_step, forked, make_job

# 96 rows in batches of 8: 12 steps an epoch; 32 prompts, 4 a step: 8 steps an epoch. Pauses fall into the second one.
CASES = {
    "sft": ({**TRAINING, "max_steps": 20, "batch_size": 8, "max_length": 32}, "sft", 15),
    "grpo": (
        {
            **TRAINING,
            "max_steps": 14,
            "batch_size": 16,
            "num_generations": 4,
            "max_completion_length": 6,
            "answer_extraction": "marker",
        },
        "grpo",
        10,
    ),
}


def straight(tmp_path: Path, files: dict[str, Path], model: Path, kind: str, **more: object) -> Job:
    spec, data, _ = CASES[kind]
    job = make_job(tmp_path / "straight", kind, {**spec, **more}, model=model, dataset=files[data])
    assert forked(job) == 0, job.log
    return job


def visible(job: Job) -> list[str]:
    return sorted(p.name for p in (job.folder / "checkpoints").iterdir())


@pytest.mark.parametrize("kind", CASES)
def test_paused_in_the_second_epoch_equals_straight(
    kind: str, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    whole = straight(tmp_path, files, taught, kind)
    spec, data, step = CASES[kind]
    job = make_job(tmp_path / "paused", kind, spec, model=taught, dataset=files[data])
    assert forked(job, ask_at(step, signal.SIGUSR1)) == 0, job.log
    assert job.result["status"] == "paused"
    assert job.result["step"] == step
    assert visible(job) == [f"step-{step}"]
    assert not (job.folder / "output").exists()
    assert forked(job) == 0, job.log
    assert job.weights == whole.weights
    readers = [Reader(j.folder / "metrics.sqlite") for j in (whole, job)]
    curves = [
        [(r.points(name)[0].tolist(), r.points(name)[1].tolist()) for name in ("loss", "num_tokens")] for r in readers
    ]
    assert curves[0] == curves[1]


def test_a_wish_to_stop_on_the_last_step_lets_it_complete(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    spec, data, _ = CASES["sft"]
    job = make_job(tmp_path / "job", "sft", {**spec, "max_steps": 3}, model=model, dataset=files[data])
    assert forked(job, ask_at(3, signal.SIGTERM)) == 0, job.log
    assert job.result["status"] == "completed"


@pytest.mark.parametrize("kind", ["sft", "evaluate"])
def test_a_wish_before_the_first_step_is_obeyed(kind: str, tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    spec = CASES["sft"][0] if kind == "sft" else {"max_new_tokens": 4}
    data = files["sft" if kind == "sft" else "heldout"]
    job = make_job(tmp_path / "job", kind, spec, model=model, dataset=data)

    def asked_while_loading() -> None:
        phase = Report.phase

        def asked(self: Report, name: str) -> None:
            phase(self, name)
            if name == "loading the model":
                signal.raise_signal(signal.SIGTERM)

        Report.phase = asked  # type: ignore[method-assign]

    assert forked(job, asked_while_loading) == 0, job.log
    assert job.result["status"] == "stopped"
    assert not (job.folder / "output").exists()


def test_killed_while_saving_goes_on_from_the_whole_checkpoint(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    whole = straight(tmp_path, files, model, "sft", save_every=6)
    spec, data, _ = CASES["sft"]
    job = make_job(tmp_path / "killed", "sft", {**spec, "save_every": 6}, model=model, dataset=files[data])

    def die_in_the_second_checkpoint() -> None:
        from runners.engines.hf import checkpoint

        publish = checkpoint.publish

        def die(part: Path, target: Path) -> None:
            if target.name == "step-12":
                os.kill(os.getpid(), signal.SIGKILL)
            publish(part, target)

        checkpoint.publish = die

    assert forked(job, die_in_the_second_checkpoint) == -signal.SIGKILL
    assert visible(job) == [".saving.part", "step-6"]
    assert forked(job) == 0, job.log
    assert job.weights == whole.weights
    assert visible(job) == ["step-12", "step-18"]
    with Reader(job.folder / "metrics.sqlite") as reader:
        assert reader.points("loss")[0].tolist() == list(range(1, 21))


def test_a_truncated_and_a_foreign_checkpoint_are_passed_over(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    whole = straight(tmp_path, files, model, "sft")
    spec, data, _ = CASES["sft"]
    job = make_job(tmp_path / "job", "sft", {**spec, "save_every": 4}, model=model, dataset=files[data])
    assert forked(job, ask_at(10, signal.SIGTERM)) == 0, job.log
    assert job.result["status"] == "stopped"
    assert visible(job) == ["step-10", "step-8"]
    newest = job.folder / "checkpoints/step-10/optimizer.pt"
    os.truncate(newest, newest.stat().st_size - 1)
    (job.folder / "checkpoints/step-99").mkdir()
    (job.folder / "checkpoints/step-99/model.safetensors").write_bytes(b"not ours")
    assert forked(job) == 0, job.log
    assert "step 8" in job.log
    assert job.weights == whole.weights


@dataclass
class SmallDisk:
    """A folder with little room, what a runner must do to feel it, and what it then says."""

    folder: Path
    first: Callable[[], None] | None
    words: str


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A folder that holds 300 kB: a file system of its own where that may be mounted, else a limit on file sizes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        yield SmallDisk(folder, None, "disk is full")
        subprocess.run(["umount", "-l", folder], check=True)
    else:
        limit = (40_000, resource.RLIM_INFINITY)
        first = at_step(7, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        yield SmallDisk(folder, first, "File too large")


def test_a_full_disk_ends_no_training_and_costs_no_checkpoint(
    tmp_path: Path, files: dict[str, Path], model: Path, small_disk: SmallDisk
) -> None:
    whole = straight(tmp_path, files, model, "sft", save_every=4)
    spec, data, _ = CASES["sft"]
    job = make_job(tmp_path / "full", "sft", {**spec, "save_every": 4}, model=model, dataset=files[data])
    (job.folder / "checkpoints").symlink_to(small_disk.folder)
    assert forked(job, small_disk.first) == 0, job.log
    assert job.weights == whole.weights
    kept = visible(job)
    assert kept
    assert all(name.startswith("step-") for name in kept)
    with Reader(job.folder / "metrics.sqlite") as reader:
        failed = [event for event in reader.events() if event.kind == "checkpoint_failed"]
    assert failed
    assert f"can be resumed from step {max(int(name.removeprefix('step-')) for name in kept)}" in failed[-1].text


def test_a_pause_that_cannot_be_saved_fails_with_the_sentence_and_keeps_the_older_checkpoint(
    tmp_path: Path, files: dict[str, Path], model: Path, small_disk: SmallDisk
) -> None:
    whole = straight(tmp_path, files, model, "sft", save_every=4)
    spec, data, _ = CASES["sft"]
    job = make_job(tmp_path / "full", "sft", {**spec, "save_every": 4}, model=model, dataset=files[data])
    (job.folder / "checkpoints").symlink_to(small_disk.folder)

    def first() -> None:
        if small_disk.first is not None:
            small_disk.first()
        ask_at(18, signal.SIGUSR1)()

    assert forked(job, first) == 1
    assert job.result["status"] == "failed"
    assert small_disk.words in job.sentence, job.log
    assert visible(job)
    (job.folder / "checkpoints").unlink()
    shutil.copytree(small_disk.folder, job.folder / "checkpoints")
    assert forked(job) == 0, job.log
    assert job.weights == whole.weights

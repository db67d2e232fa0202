"""With or without pauses and crashes a training is the same: weights, every metric, every vector, every sample."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from platform_core.algorithms.registry import algorithm
from platform_core.files import read_json
from platform_core.metrics.reader import Event, Reader
from runners.engines.hf import checkpoint
from tests.integration.engines.jobs import TRAINING, Job, ask_at, at_step, forked, make_job

CLOCKED = {"tokens_per_second", "samples_per_second", "step_time"}
SUPERVISED = {**TRAINING, "max_steps": 20, "batch_size": 4, "max_length": 32}
GRPO = {**TRAINING, "max_steps": 12, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}
GRPO |= {"answer_extraction": "marker"}
PREFERENCE = {**SUPERVISED, "max_steps": 12}
DEEP = {"gradient_accumulation_steps": 2, "lr_scheduler": "cosine", "warmup_steps": 3, "logging_steps": 4}
ON_POLICY = {**TRAINING, "max_steps": 10, "batch_size": 4, "max_completion_length": 5}
MEASURED = {"validation_share": 0.2, "eval_every": 4}
CASES = {
    "pretrain": ("pretrain", {**SUPERVISED, "start": "model", **DEEP, "dtype": "bfloat16"}),
    "sft": ("sft", {**SUPERVISED, **DEEP, "batch_size": 10, "dtype": "bfloat16", "gradient_checkpointing": True}),
    "sft a report in three": ("sft", {**SUPERVISED, "logging_steps": 3, "save_every": 2}),
    "sft an adapter with Muon, measured": ("sft", {**SUPERVISED, **MEASURED, "tuning": "lora", "optimizer": "muon"}),
    "sft on 4 bits": ("sft", {**SUPERVISED, "tuning": "qlora", "lr_scheduler": "warmup_stable_decay"}),
    "sft with 8-bit AdamW": ("sft", {**SUPERVISED, "optimizer": "adamw_8bit"}),
    "sft packed, noisy, a report in three": (
        "sft",
        {
            **SUPERVISED,
            "packing": "best_fit",
            "neftune_alpha": 5.0,
            "max_steps": 10,
            "logging_steps": 3,
            "validation_share": 0.2,
            "eval_every": 5,
        },
    ),
    "distilled answers": (
        "distill",
        {
            **SUPERVISED,
            **MEASURED,
            "max_steps": 10,
            "max_new_tokens": 6,
            "temperature": 1.0,
            "answer_batch_size": 8,
            "keep_unfinished": True,
        },
    ),
    "distilled on policy": ("distill_on_policy", {**ON_POLICY, **DEEP, "beta": 0.5, "student_share": 0.7}),
    "distilled on policy to an adapter": ("distill_on_policy", {**ON_POLICY, **MEASURED, "tuning": "lora"}),
    "distilled reasoning, packed": (
        "distill_reasoning",
        {**SUPERVISED, **DEEP, "max_steps": 10, "packing": "best_fit", "max_length": 48},
    ),
    "grpo an adapter, measured": ("grpo", {**GRPO, **MEASURED, "tuning": "lora", "kl_coef": 0.05, "early_stopping": 9}),
    "grpo": ("grpo", {**GRPO, **DEEP, "kl_coef": 0.05}),
    "dpo": ("dpo", {**PREFERENCE, **DEEP, "dtype": "bfloat16"}),
    "dpo an adapter, measured": ("dpo", {**PREFERENCE, **MEASURED, "tuning": "lora", "loss": "ipo"}),
    "simpo a report in three": ("dpo", {**PREFERENCE, "loss": "simpo", "logging_steps": 3, "save_every": 2}),
    "orpo": ("orpo", {**PREFERENCE, **MEASURED, "gradient_checkpointing": True}),
    "kto": ("kto", {**PREFERENCE, **DEEP}),
    "reward model": ("reward_model", {**PREFERENCE, **DEEP}),
    "grpo with two updates a rollout": ("grpo", {**GRPO, "num_iterations": 2, "logging_steps": 3, "save_every": 3}),
    "cispo": ("cispo", {**GRPO, "minibatches": 2, "clip_epsilon_high": 1.2}),
    "gspo": ("gspo", {**GRPO, "minibatches": 3, "logging_steps": 2, "kl_coef": 0.05}),
    "ppo": ("ppo", {**GRPO, **DEEP, **MEASURED, "minibatches": 2, "kl_coef": 0.05, "critic_learning_rate": 1e-2}),
    "ppo an adapter": (
        "ppo",
        {**GRPO, "tuning": "lora", "kl_coef": 0.05, "minibatches": 1, "critic_warmup_steps": 3},
    ),
    "spo": ("spo", {**GRPO, **DEEP, **MEASURED, "num_generations": 1, "kl_half": 0.001}),
    "spo in the dataset's order": ("spo", {**GRPO, "num_generations": 2, "prioritized": False, "kl_coef": 0.05}),
    "rloo": ("rloo", {**GRPO, **DEEP, **MEASURED, "num_iterations": 2}),
}
FIRST = {kind: name for name, (kind, _spec) in reversed(CASES.items())}.values()
"""A case of each algorithm."""


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory, taught: Path) -> Path:
    """A model that draws random numbers in every forward pass of its training."""
    folder = tmp_path_factory.mktemp("dropping") / "model"
    shutil.copytree(taught, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.2}))
    return folder


def told(job: Job) -> dict[str, object]:
    """All that a job has reported but what a clock decides."""
    with Reader(job.folder / "metrics.sqlite") as run:
        names = [name for name in run.names() if name not in CLOCKED]
        found: dict[str, object] = {name: [column.tolist() for column in run.points(name)] for name in names}
        norms = run.vectors("grad_norm")
        found |= {"vectors": (norms.steps.tolist(), norms.values.tolist())}
        found |= {"samples": [(sample.step, sample.data) for sample in run.samples()]}
    return found


def events(job: Job, kind: str) -> list[Event]:
    with Reader(job.folder / "metrics.sqlite") as run:
        return [event for event in run.events() if event.kind == kind]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [name if name in FIRST else pytest.param(name, marks=pytest.mark.thorough) for name in CASES]
)
def test_two_pauses_and_a_crash_change_nothing(
    case: str, tmp_path: Path, files: dict[str, Path], dropping: Path, taught: Path
) -> None:
    kind, spec = CASES[case]
    paths = {"model": dropping, "dataset": files.get(kind, files["grpo"])}
    if "teacher" in algorithm(kind).spec.model_fields:
        paths["teacher"] = taught
    whole = make_job(tmp_path / "whole", kind, spec, **paths)
    assert forked(whole) == 0, whole.log
    steps = sorted(random.Random(case).sample(range(1, int(str(spec["max_steps"])) - 2, 3), 3))
    job = make_job(tmp_path / "job", kind, spec, **paths)
    assert forked(job, ask_at(steps[0], signal.SIGUSR1)) == 0, job.log
    assert job.result["status"] == "paused"
    assert forked(job, at_step(steps[1], lambda: os.kill(os.getpid(), signal.SIGKILL))) == -signal.SIGKILL
    assert forked(job, ask_at(steps[2], signal.SIGTERM)) == 0, job.log
    assert job.result["status"] == "stopped"
    assert forked(job) == 0, job.log
    assert job.weights == whole.weights, steps
    assert told(job) == told(whole), steps


def test_what_runs_again_is_marked_once(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    job = make_job(tmp_path / "job", "sft", SUPERVISED | {"save_every": 6}, model=model, dataset=files["sft"])

    def die() -> None:
        from runners.engines.hf import saving

        check = saving.Saving.on_step_end

        def on_step_end(self: saving.Saving, args: object, state: object, control: object, **more: object) -> None:
            check(self, args, state, control, **more)
            if state.global_step == 10:  # type: ignore[attr-defined]
                self.report.writer.flush()
                os.kill(os.getpid(), signal.SIGKILL)

        saving.Saving.on_step_end = on_step_end

    assert forked(job, die) == -signal.SIGKILL
    assert forked(job, ask_at(15, signal.SIGUSR1)) == 0, job.log
    assert forked(job) == 0, job.log
    resumed = events(job, "resumed")
    assert [(event.step, event.data["reported"]) for event in resumed] == [(6, 9), (15, 15)]
    assert "steps 7 to 9 run again" in resumed[0].text
    assert [(event.step, event.data["at"]) for event in events(job, "paused")] == [(15, 15)]
    with Reader(job.folder / "metrics.sqlite") as run:
        assert run.points("loss")[0].tolist() == list(range(1, 21))
        tokens = run.points("num_tokens")[1].tolist()
    straight = make_job(tmp_path / "straight", "sft", SUPERVISED, model=model, dataset=files["sft"])
    assert forked(straight) == 0, straight.log
    with Reader(straight.folder / "metrics.sqlite") as run:
        assert run.points("num_tokens")[1].tolist() == tokens


def test_damaged_checkpoints_are_named_and_the_next_older_one_is_used(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    spec = SUPERVISED | {"save_every": 4, "keep_checkpoints": 4}
    whole = make_job(tmp_path / "whole", "sft", spec, model=model, dataset=files["sft"])
    assert forked(whole) == 0, whole.log
    job = make_job(tmp_path / "job", "sft", spec, model=model, dataset=files["sft"])
    assert forked(job, ask_at(18, signal.SIGUSR1)) == 0, job.log
    folder = job.folder / "checkpoints"
    flip(folder / "step-18" / "optimizer.pt")
    (folder / "step-16" / "rng_state_1.pth").write_bytes(b"a program")
    marker = read_json(folder / "step-12" / checkpoint.MARKER) or {}
    (folder / "step-12" / checkpoint.MARKER).write_text(json.dumps(marker | {"job": "somebody-els"}))
    (folder / "step-99").mkdir()
    (folder / "step-99" / "model.safetensors").write_bytes(b"not ours")
    assert forked(job) == 0, job.log
    assert [event.text for event in events(job, "damaged_checkpoint")] == [
        "checkpoint of step 99 is damaged (complete.json is missing or of something else): goes on from step 8",
        "checkpoint of step 18 is damaged (optimizer.pt differs): goes on from step 8",
        "checkpoint of step 16 is damaged (rng_state_1.pth does not belong to it): goes on from step 8",
        "checkpoint of step 12 is damaged (it is of another job): goes on from step 8",
    ]
    assert job.weights == whole.weights
    assert (folder / "step-99" / "model.safetensors").read_bytes() == b"not ours"
    left = [step for step, place in checkpoint.numbered(folder) if checkpoint.is_whole(place, step)]
    assert left == [16, 12, 8]


def test_the_best_stays_beside_the_newest(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    # a rate that rises and falls breaks the model late: the best is none of the newest
    spec = SUPERVISED | {"save_every": 2, "keep_checkpoints": 1, "keep_best": "learning_rate", "best_is": "higher"}
    job = make_job(tmp_path / "job", "sft", spec | {"warmup_steps": 6}, model=model, dataset=files["sft"])
    assert forked(job) == 0, job.log
    rates = {step: checkpoint.saved_values(place)["learning_rate"] for step, place in checkpoint.numbered(
        job.folder / "checkpoints")}  # fmt: skip
    with Reader(job.folder / "metrics.sqlite") as run:
        steps, values = run.points("learning_rate")
    saved = {int(step): float(value) for step, value in zip(steps, values, strict=True) if step % 2 == 0 and step < 20}
    assert sorted(rates) == [max(saved, key=lambda step: saved[step]), 18]


def test_a_metric_that_nobody_reports_is_said_once(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    spec = SUPERVISED | {"save_every": 5, "keep_best": "rewards"}
    job = make_job(tmp_path / "job", "sft", spec, model=model, dataset=files["sft"])
    assert forked(job) == 0, job.log
    warned = events(job, "no_best")
    assert len(warned) == 1
    assert "rewards is not reported" in warned[0].text
    assert "loss" in warned[0].text


def test_minutes_ask_for_a_checkpoint_too(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    spec = SUPERVISED | {"save_every_minutes": 0.01, "keep_checkpoints": 9}
    job = make_job(tmp_path / "job", "sft", spec, model=model, dataset=files["sft"])

    def slow() -> None:
        from runners.engines.hf import saving

        at = iter(range(10_000))
        saving.monotonic = lambda: next(at) * 0.2

    assert forked(job, slow) == 0, job.log
    steps = [step for step, _ in checkpoint.numbered(job.folder / "checkpoints")]
    assert len(steps) >= 3
    assert 20 not in steps


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))

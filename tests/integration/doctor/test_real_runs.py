"""Faults done to real tiny runs: the doctor names each, its fix is valid, and real healthy runs are left alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from platform_core.algorithms.registry import algorithm
from platform_core.demo.data import ROWS as rows_of
from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import SIZES, TRAINING, Job, at_step, forked, make_job

from .real import case_of_run, loud, scale_weights, silence, with_model

SFT: dict[str, object] = {**TRAINING, "max_steps": 60, "batch_size": 8, "max_length": 32}
GRPO: dict[str, object] = {**TRAINING, "max_steps": 12, "batch_size": 16, "num_generations": 4}
GRPO |= {"max_completion_length": 6, "answer_extraction": "marker", "learning_rate": 1e-3}
Files = dict[str, Path]


def first(case: Case) -> Diagnosis:
    """What the doctor says first; its fix leaves a valid spec."""
    found = loud(case)
    assert found, "nothing was said"
    for diagnosis in found:
        if diagnosis.fix is not None:
            algorithm(case.job.kind).spec.model_validate(case.job.spec | diagnosis.fix.changes)
    return found[0]


def sft(folder: Path, files: Files, model: Path, data: Path | None = None, **spec: object) -> Job:
    return make_job(folder, "sft", {**SFT, **spec}, model=model, dataset=data or files["digits"])


def tried(job: Job, hook: Callable[[], object] | None = None, out_of_memory: bool = False) -> Case:
    return case_of_run(job, forked(job, hook), out_of_memory)


def cured(case: Case, found: Diagnosis, folder: Path, **paths: Path) -> list[Diagnosis]:
    """What the doctor says of a run with the fix."""
    assert found.fix is not None
    assert found.fix.changes
    spec = {k: v for k, v in (case.job.spec | found.fix.changes).items() if k not in paths}
    return loud(tried(make_job(folder, case.job.kind, spec, **paths)))


def test_a_learning_rate_far_too_high_and_its_cure(tmp_path: Path, files: Files, model: Path) -> None:
    case = tried(sft(tmp_path / "a", files, model, learning_rate=1.0))
    found = first(case)
    assert found.rule == "learning_rate"
    paths = {"model": model, "dataset": files["digits"]}
    assert not cured(case, found, tmp_path / "b", **paths)


def test_a_learning_rate_far_too_low(tmp_path: Path, files: Files, model: Path) -> None:
    job = sft(tmp_path, files, model, learning_rate=1e-9, max_steps=90)
    assert first(tried(job)).rule == "learning_rate"


def test_weights_that_became_nan(tmp_path: Path, files: Files, model: Path) -> None:
    case = tried(sft(tmp_path, files, model), with_model(20, scale_weights(float("nan"))))
    assert case.failed
    assert first(case).rule == "nan_loss"


def test_a_loss_that_jumps(tmp_path: Path, files: Files, model: Path) -> None:
    case = tried(sft(tmp_path, files, model), with_model(45, scale_weights(4.0)))
    assert first(case).rule == "loss_spike"


def test_a_layer_that_gets_no_gradient(tmp_path: Path, files: Files, model: Path) -> None:
    case = tried(sft(tmp_path, files, model), with_model(0, silence("layers.0")))
    found = first(case)
    assert found.rule == "gradient_layers"
    assert "layer.0" in str(found.what)


def test_rows_that_are_broken(tmp_path: Path, files: Files, model: Path) -> None:
    rows = files["digits"].read_text().splitlines()
    some, none = tmp_path / "some.jsonl", tmp_path / "none.jsonl"
    some.write_text("\n".join(rows + ['{"prompt": 3}'] * 12) + "\n")
    none.write_text('{"prompt": 3}\n' * 20)
    assert first(tried(sft(tmp_path / "some", files, model, some, max_steps=4))).rule == "dataset_broken"
    case = tried(sft(tmp_path / "none", files, model, none, max_steps=4))
    assert case.failed
    assert first(case).rule == "dataset_broken"


def test_answers_that_do_not_fit_the_sequence(tmp_path: Path, files: Files, model: Path) -> None:
    case = tried(make_job(tmp_path / "a", "sft", SFT | {"max_length": 10}, model=model, dataset=files["sft"]))
    found = first(case)
    assert found.rule == "dataset_broken"
    assert found.fix is not None
    assert found.fix.changes == {"max_length": 20}


def test_a_kill_is_told_from_an_out_of_memory_kill(tmp_path: Path, files: Files, model: Path) -> None:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert first(tried(sft(tmp_path / "a", files, model), at_step(5, kill))).rule == "killed"
    found = first(tried(sft(tmp_path / "b", files, model), at_step(5, kill), out_of_memory=True))
    assert found.rule == "out_of_memory"
    assert found.fix is not None
    assert found.fix.changes["batch_size"] == 4


def test_an_allocation_that_fails(tmp_path: Path, files: Files, model: Path) -> None:
    def starve() -> None:
        import torch

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (64 << 20),) * 2)
        torch.zeros(1 << 30)

    case = tried(sft(tmp_path, files, model), at_step(5, starve))
    assert case.failed
    assert first(case).rule == "out_of_memory"


def test_a_package_that_is_missing(tmp_path: Path, files: Files, model: Path) -> None:
    case = tried(sft(tmp_path, files, model), at_step(2, lambda: __import__("flash_attn_9")))
    found = first(case)
    assert found.rule == "missing_dependency"
    assert "flash_attn_9" in str(found.what)


def test_a_full_disk(tmp_path: Path, files: Files, model: Path) -> None:
    def full() -> None:
        with open("/dev/full", "w") as file:
            file.write("a checkpoint")

    case = tried(sft(tmp_path, files, model), at_step(5, full))
    assert case.failed
    assert first(case).rule == "disk_full"


def test_a_runner_that_is_stopped(tmp_path: Path, files: Files, model: Path) -> None:
    job = sft(tmp_path, files, model, max_steps=100_000)
    runner = multiprocessing.get_context("fork").Process(target=forked, args=(job, at_step(30, _stop_myself)))
    runner.start()
    try:
        pid = 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _is_stopped(pid):
            time.sleep(0.05)
            with Reader(job.folder / "metrics.sqlite") as run:
                started = [e.text for e in run.events() if e.kind == "started"]
            pid = int(started[0].split("pid ")[1].split(",")[0]) if started else 0
        case = case_of_run(job, None, pid=pid)
        assert not loud(case), "said too early"
        found = first(replace(case, now=case.now + 300))
        assert found.rule == "no_progress"
        assert "stopped by a signal" in str(found.what)
    finally:
        os.kill(pid, signal.SIGKILL)
        runner.join()


def _stop_myself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _is_stopped(pid: int) -> bool:
    try:
        return pid > 0 and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def grpo(folder: Path, data: Path, model: Path, **spec: object) -> Job:
    return make_job(folder, "grpo", {**GRPO, **spec}, model=model, dataset=data)


def test_a_reward_that_is_always_the_same(tmp_path: Path, files: Files, taught: Path) -> None:
    rows = [json.loads(line) | {"answer": "no"} for line in files["grpo"].read_text().splitlines()]
    data = tmp_path / "never.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert first(tried(grpo(tmp_path / "a", data, taught))).rule == "zero_reward_spread"


def test_answers_that_are_cut(tmp_path: Path, files: Files, taught: Path) -> None:
    case = tried(grpo(tmp_path / "a", files["grpo"], taught, max_completion_length=2))
    found = first(case)
    assert found.rule == "truncated_completions"
    assert not cured(case, found, tmp_path / "b", model=taught, dataset=files["grpo"])


def test_a_reward_that_is_lost(tmp_path: Path, files: Files, taught: Path) -> None:
    """First the model learns its sums well: what is never there can't be lost."""
    knows = sft(tmp_path / "knows", files, taught, max_steps=300, batch_size=16)
    assert forked(knows) == 0
    job = grpo(tmp_path / "a", files["grpo"], knows.folder / "output", max_steps=26)
    assert first(tried(job, with_model(14, scale_weights(3.0)))).rule == "reward_collapse"


def unlearnable(path: Path, seed: int) -> Path:
    """Rows with answers of chance: they can be memorised, and tell nothing about other rows."""
    chance = random.Random(seed)
    rows = [{"prompt": f"{chance.randrange(10**4)}=", "completion": f"#{chance.randrange(10**4)}"} for _ in range(24)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_training_data_that_is_memorised(tmp_path: Path, files: Files, taught: Path) -> None:
    """The training loss falls, that of other rows rises: stopped where it was least, nothing is said."""
    paths = {"model": taught, "dataset": unlearnable(tmp_path / "train.jsonl", 1)}
    paths["validation_dataset"] = unlearnable(tmp_path / "validation.jsonl", 2)
    case = tried(make_job(tmp_path / "a", "sft", SFT | {"max_steps": 240, "eval_every": 12}, **paths))
    found = first(case)
    assert found.rule == "overfitting"
    with Reader(tmp_path / "a/metrics.sqlite") as run:
        steps, losses = run.points("eval_loss")
        trained = run.points("loss")[1]
    assert losses[-1] > 1.1 * losses.min()
    assert trained[-5:].mean() < trained[:5].mean()
    assert found.fix is not None
    assert found.fix.changes == {"max_steps": int(steps[losses.argmin()])}
    assert not cured(case, found, tmp_path / "b", **paths)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_healthy_validation_is_left_alone(seed: int, tmp_path: Path, files: Files, model: Path) -> None:
    data = tmp_path / "sums.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in islice(rows_of["sft"](seed), 600)))
    spec = {"seed": seed, "max_steps": 150, "eval_every": 10, "validation_share": 0.2, "batch_size": 16}
    job = sft(tmp_path / "a", files, model, data, **spec)
    assert not loud(tried(job))
    with Reader(job.folder / "metrics.sqlite") as run:
        losses = run.points("eval_loss")[1]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_healthy_runs_are_left_alone(seed: int, tmp_path: Path, files: Files, tokenizer: Path, taught: Path) -> None:
    texts = {**SIZES, **SFT, "seed": seed, "max_steps": 70}
    said = loud(tried(make_job(tmp_path / "a", "pretrain", texts, tokenizer=tokenizer, dataset=files["pretrain"])))
    model = tmp_path / "a/output"
    said += loud(tried(sft(tmp_path / "b", files, model, seed=seed, max_steps=100, logging_steps=2)))
    said += loud(tried(grpo(tmp_path / "c", files["grpo"], taught, seed=seed, max_steps=16)))
    assert not said


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("rloo", {}),
        ("ppo", {"minibatches": 2, "critic_learning_rate": 1e-3, "critic_warmup_steps": 4}),
        ("spo", {"num_generations": 1}),
    ],
)
def test_other_losses_of_rollouts_are_no_trouble(
    kind: str, more: dict[str, object], tmp_path: Path, files: Files, taught: Path
) -> None:
    spec = GRPO | {"learning_rate": 1e-3, "max_steps": 24} | more
    assert not loud(tried(make_job(tmp_path / "a", kind, spec, model=taught, dataset=files["grpo"])))

"""Every algorithm of the hf engine on a real GPU, in bfloat16; adapters on quantized weights; what a resume gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platform_core.hosts.devices import Gpu
from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

HERE: dict[str, object] = {**TRAINING, "device": "cuda", "dtype": "bfloat16", "learning_rate": 1e-3, "max_steps": 4}
ROWS: dict[str, object] = {"batch_size": 8, "max_length": 32}
ANSWERS: dict[str, object] = {"batch_size": 8, "max_completion_length": 6, "answer_extraction": "marker"}
GROUPS: dict[str, object] = ANSWERS | {"num_generations": 4}
KINDS: dict[str, dict[str, object]] = {
    "sft": ROWS,
    "dpo": ROWS,
    "kto": ROWS,
    "orpo": ROWS,
    "reward_model": ROWS,
    "grpo": GROUPS,
    "gspo": GROUPS,
    "rloo": GROUPS,
    "ppo": GROUPS,
    "spo": ANSWERS | {"batch_size": 6, "num_generations": 3},
    "distill": ROWS | {"max_new_tokens": 6},
    "distill_on_policy": {"batch_size": 8, "max_completion_length": 6},
    "distill_reasoning": ROWS,
}
SETTINGS: dict[str, dict[str, object]] = {
    "nf4": {"tuning": "qlora"},
    "int8": {"tuning": "qlora", "quantization": "int8"},
    "dora merged": {"tuning": "lora", "lora_variant": "dora", "adapter_output": "merged"},
    "adamw_8bit": {"optimizer": "adamw_8bit"},
    "adafactor": {"optimizer": "adafactor"},
    "muon": {"optimizer": "muon"},
    "checkpointing": {"gradient_checkpointing": True},
    "packed": {"packing": "best_fit"},
    "float32": {"dtype": "float32"},
}


def trained(folder: Path, kind: str, spec: dict[str, object], model: Path, files: dict[str, Path]) -> Job:
    paths: dict[str, Any] = {"model": model, "dataset": files.get(kind, files["grpo"])}
    if kind.startswith("distill") and kind != "distill_reasoning":
        paths["teacher"] = model
    job = make_job(folder, kind, spec, **paths)
    assert forked(job) == 0, job.log[-3000:]
    return job


@pytest.mark.parametrize("kind", KINDS)
def test_each_algorithm_trains(kind: str, tmp_path: Path, card: Gpu, files: dict[str, Path], taught: Path) -> None:
    job = trained(tmp_path, kind, HERE | KINDS[kind], taught, files)
    with Reader(job.folder / "metrics.sqlite") as run:
        losses = run.points("loss")[1]
        assert run.progress()["gpu_names"] == [card.name]
    assert len(losses) == 4
    assert np.isfinite(losses).all()
    assert job.weights


@pytest.mark.parametrize("name", SETTINGS)
def test_each_way_to_save_memory_trains(
    name: str, tmp_path: Path, card: Gpu, files: dict[str, Path], taught: Path
) -> None:
    job = trained(tmp_path, "sft", HERE | ROWS | {"max_steps": 20} | SETTINGS[name], taught, files)
    with Reader(job.folder / "metrics.sqlite") as run:
        losses = run.points("loss")[1]
    assert np.isfinite(losses).all()
    assert losses[-5:].mean() < losses[:5].mean()
    assert job.weights


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo", "ppo", "spo"])
def test_a_resumed_training_is_the_same(
    kind: str, tmp_path: Path, card: Gpu, files: dict[str, Path], taught: Path
) -> None:
    """Weights and points, bit for bit: nothing here adds in an order that changes."""
    target = make_job(
        tmp_path / "0123456789ab",
        kind,
        HERE | KINDS[kind] | {"max_steps": 8},
        model=taught,
        dataset=files.get(kind, files["grpo"]),
    )
    proof = make_job(tmp_path / "proof0000000", "verify", {"job": target.folder.name, "steps": 6, "cpu_slots": 1})
    assert forked(proof) == 0, proof.log[-3000:]
    assert proof.metrics["identical"] == 1, proof.metrics


def test_an_evaluation_answers_on_it(tmp_path: Path, card: Gpu, files: dict[str, Path], taught: Path) -> None:
    spec: dict[str, object] = {"samples": 2, "max_new_tokens": 6, "answer_extraction": "marker"}
    job = make_job(tmp_path, "evaluate", spec | {"cpu_slots": 1}, model=taught, dataset=files["grpo"])
    assert forked(job) == 0, job.log[-3000:]
    assert 0 <= float(str(job.metrics["exact_match"])) <= 1

"""The proof of exact resume: identical for what is exact, and the first difference for what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from platform_core.files import folder_size
from runners.programs.compare import compare
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

SFT = {**TRAINING, "max_steps": 12, "batch_size": 8, "max_length": 32, "logging_steps": 2}
BEST = {"validation_share": 0.2, "eval_every": 2, "save_every": 2, "keep_best": "eval_loss", "final_model": "best"}
TWO = {"parallel": "ddp", "processes": 2, "batch_size": 4}
GRPO = {**TRAINING, "max_steps": 8, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}
GRPO |= {"answer_extraction": "marker"}
PPO = {**GRPO, "minibatches": 2, "kl_coef": 0.05, "critic_learning_rate": 1e-2}
CRITIC = 20
"""Tensors of a critic's weights and of their moments, at least."""


def proof_of(target: Job, folder: Path, steps: int) -> Job:
    made = make_job(folder, "verify", {"job": target.folder.name, "steps": steps, "cpu_slots": 1})
    assert forked(made) == 0, made.log
    return made


@pytest.mark.parametrize(
    ("kind", "spec", "steps"),
    [
        ("sft", SFT | BEST, 5),
        pytest.param("grpo", GRPO, 8, marks=pytest.mark.thorough),
        pytest.param("ppo", PPO, 4, marks=pytest.mark.thorough),
        pytest.param("sft", SFT | TWO, 5, marks=pytest.mark.thorough, id="two processes"),
    ],
)
def test_a_training_that_is_exact_is_proved(
    kind: str, spec: dict[str, object], steps: int, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    target = make_job(tmp_path / "0123456789ab", kind, spec, model=taught, dataset=files.get(kind, files["grpo"]))
    before = sorted((p, p.stat().st_mtime_ns) for p in target.folder.rglob("*"))
    proof = proof_of(target, tmp_path / "proof0000000", steps)
    assert proof.metrics["identical"] == 1, proof.metrics
    assert (proof.metrics["steps"], proof.metrics["resumed_at"]) == (steps, steps // 2)
    assert int(str(proof.metrics["points"])) > steps
    least = 30 if steps < int(str(spec["max_steps"])) else 11
    assert int(str(proof.metrics["tensors"])) >= least + (CRITIC if kind == "ppo" else 0)
    assert sorted((p, p.stat().st_mtime_ns) for p in target.folder.rglob("*")) == before
    assert not (proof.folder / "straight").exists()
    assert folder_size(proof.folder) < 500_000


def test_the_first_difference_is_named(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    runs = []
    for name, seed in (("one", 3), ("two", 4), ("three", 3)):
        spec = SFT | {"max_steps": 4, "logging_steps": 1, "seed": seed}
        runs.append(make_job(tmp_path / name, "sft", spec, model=model, dataset=files["sft"]))
        assert forked(runs[-1]) == 0, runs[-1].log
    one, two, three = (run.folder for run in runs)
    assert compare(one, three, 4).difference == ""
    said = compare(one, two, 4).difference
    assert said.partition(" at step ")[2].startswith("1: ")
    assert "straight" in said
    path = three / "output" / "model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[1]
    tensors[name].reshape(-1)[0] = np.nextafter(tensors[name].reshape(-1)[0], np.float32(9))
    save_file(tensors, path)
    said = compare(one, three, 4).difference
    assert name in said
    assert "differs by up to" in said


def test_a_failed_run_of_the_proof_says_why(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    target = make_job(tmp_path / "0123456789ab", "sft", SFT, model=model, dataset=files["sft"])
    run = target.folder / "attempts/1/run.json"
    document = json.loads(run.read_text())
    document["paths"]["model"] = str(tmp_path / "nowhere")
    run.write_text(json.dumps(document))
    made = make_job(tmp_path / "proof", "verify", {"job": "0123456789ab", "steps": 4, "cpu_slots": 1})
    assert forked(made) == 1
    assert "nowhere" in made.sentence

"""Every kind of job runs in its folder and leaves what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from platform_core.algorithms.registry import algorithm
from platform_core.metrics.reader import Reader
from platform_core.models.architecture import FAMILIES, Architecture, parameter_count
from tests.integration.engines.jobs import SIZES, TRAINING, forked, make_job
from tests.rows import write_rows

SFT = {**TRAINING, "max_steps": 12, "batch_size": 8, "max_length": 32}
GRPO = {**TRAINING, "max_steps": 3, "batch_size": 16, "num_generations": 4, "max_completion_length": 6}
GRPO |= {"answer_extraction": "marker"}
SPO = GRPO | {"batch_size": 2, "num_generations": 3, "minibatches": 2, "num_iterations": 2}
EVALUATE = {"samples": 3, "max_new_tokens": 6, "batch_size": 8, "answer_extraction": "marker"}


def test_tokenizer_reads_any_text_and_splits_digits(tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(tokenizer)
    assert loaded.decode(loaded("47+38=85 ünï")["input_ids"]) == "47+38=85 ünï"
    assert [loaded.decode(i) for i in loaded("47")["input_ids"]] == ["4", "7"]
    assert (loaded.pad_token, loaded.eos_token) == ("<pad>", "<eos>")


def test_the_same_texts_make_the_same_tokenizer(tmp_path: Path, files: dict[str, Path], tokenizer: Path) -> None:
    job = make_job(tmp_path, "tokenizer", {"vocab_size": 300}, dataset=files["pretrain"])
    assert forked(job) == 0, job.log
    assert (job.folder / "output/tokenizer.json").read_bytes() == (tokenizer / "tokenizer.json").read_bytes()
    assert 1.0 < float(str(job.metrics["bytes_per_token"])) < 10


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_trains_and_has_the_parameters_that_were_promised(
    family: str, tmp_path: Path, files: dict[str, Path], tokenizer: Path
) -> None:
    sizes = {**SIZES, "family": family, "experts": 4, "experts_per_token": 2, "moe_intermediate_size": 16}
    spec = {**sizes, **TRAINING, "max_steps": 2, "batch_size": 2, "max_length": 16}
    job = make_job(tmp_path, "pretrain", spec, tokenizer=tokenizer, dataset=files["pretrain"])
    assert forked(job) == 0, job.log
    weights = load_file(job.folder / "output/model.safetensors")
    config = json.loads((job.folder / "output/config.json").read_text())
    promised = parameter_count(Architecture(vocab_size=config["vocab_size"], **sizes))
    assert sum(w.size for w in weights.values()) == job.metrics["parameters"] == promised
    assert config["model_type"] == family


def test_sft_reports_and_leaves_a_model_with_its_lineage(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    job = make_job(tmp_path, "sft", SFT | {"logging_steps": 4}, model=model, dataset=files["sft"])
    assert forked(job) == 0, job.log
    output = job.folder / "output"
    assert not [p.name for p in output.rglob("*.json") if p.name != "lathe.json" and str(tmp_path) in p.read_text()]
    assert 'use_cache": true' in (output / "config.json").read_text()
    lineage = json.loads((output / "lathe.json").read_text())
    assert lineage["parents"] == {"model": str(model), "dataset": str(files["sft"])}
    assert lineage["parameters"] == sum(w.size for w in load_file(output / "model.safetensors").values())
    reader = Reader(job.folder / "metrics.sqlite")
    steps, losses = reader.points("loss")
    assert steps.tolist() == [1, 4, 8, 12]
    assert losses[-1] < losses[0]
    names = set(reader.names())
    assert {"grad_norm", "learning_rate", "epoch", "mean_token_accuracy", "num_tokens"} <= names
    assert {"tokens_per_second", "samples_per_second"} <= names
    vectors = reader.vectors("grad_norm")
    assert vectors.steps.tolist() == [1, 4, 8, 12]
    total = np.sqrt((np.asarray(vectors.values, "f8") ** 2).sum(axis=1))
    np.testing.assert_allclose(total, reader.points("grad_norm")[1], rtol=1e-4)
    assert reader.progress()["step"] == reader.progress()["total_steps"] == 12
    reader.close()


def test_grpo_shows_rollouts_whose_rewards_are_exact_match(
    tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    job = make_job(tmp_path, "grpo", GRPO, model=taught, dataset=files["grpo"])
    assert forked(job) == 0, job.log
    reader = Reader(job.folder / "metrics.sqlite")
    steps, rewards = reader.points("reward")
    assert steps.tolist() == [1, 2, 3]
    assert all(0 <= reward <= 1 for reward in rewards)
    assert max(reader.points("reward_std")[1]) > 0
    found = reader.samples()
    told = Counter(sample.step for sample in found)
    assert set(told) == {1, 2, 3}
    assert set(told.values()) <= {4, 6, 8}  # two of each of two prompts, and of those that are followed
    shown = [sample.data for sample in found]
    for sample in shown:
        answer = sample["completion"].rpartition("#")[2].strip() if "#" in sample["completion"] else None
        assert sample["reward"] == float(answer == sample["reference"])
        assert {"prompt", "advantage", "length"} <= set(sample)
    reader.close()


@pytest.mark.parametrize(
    ("kind", "data", "more", "metric"),
    [
        ("grpo", "grpo", {"kl_coef": 0.1, "loss_type": "dr_grpo"}, "kl"),
        ("sft", "sft", {"dtype": "bfloat16", "gradient_checkpointing": True, "max_grad_norm": 0}, "grad_norm"),
        ("sft", "sft", {"completion_only_loss": False, "lr_scheduler": "cosine", "device": "cpu"}, "loss"),
        ("pretrain", "pretrain", {"start": "model", "max_length": 16}, "loss"),
    ],
)
def test_settings_that_take_another_path(
    kind: str, data: str, more: dict[str, object], metric: str, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    spec = {"sft": SFT, "grpo": GRPO, "pretrain": {**TRAINING, "batch_size": 4}}[kind] | {"max_steps": 3} | more
    job = make_job(tmp_path, kind, spec, model=taught, dataset=files[data])
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as reader:
        steps, values = reader.points(metric)
    assert steps.tolist() == [1, 2, 3]
    assert np.isfinite(values).all()


@pytest.mark.parametrize(("kind", "data", "rows"), [("sft", "sft", 96), ("grpo", "grpo", 32), ("spo", "grpo", 32)])
def test_epochs_take_the_steps_that_the_spec_foretells(
    kind: str, data: str, rows: int, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    common = {"max_steps": None, "epochs": 1.5, "gradient_accumulation_steps": 3}
    spec = {"sft": SFT | {"batch_size": 10}, "grpo": GRPO | {"batch_size": 12}, "spo": SPO}[kind] | common
    job = make_job(tmp_path, kind, spec, model=taught, dataset=files[data])
    assert forked(job) == 0, job.log
    resolved = algorithm(kind).spec.model_validate(spec | {"model": "m", "dataset": "d"})
    assert job.metrics["steps"] == resolved.total_steps(rows)


def test_evaluation_keeps_every_answer_and_its_shares_follow_from_them(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    job = make_job(tmp_path, "evaluate", EVALUATE, model=model, dataset=files["heldout"])
    assert forked(job) == 0, job.log
    answers = [json.loads(line) for line in (job.folder / "output/samples.jsonl").read_text().splitlines()]
    assert [a["mode"] for a in answers] == ["greedy"] * 20 + ["sampled"] * 60
    assert [a["question"] for a in answers[:20]] == list(range(20))
    for answer in answers:
        assert answer["correct"] == (answer["answer"] == answer["reference"])
    metrics = job.metrics
    assert metrics["n"] == 20
    assert metrics["exact_match"] == sum(a["correct"] for a in answers[:20]) / 20
    assert metrics["sampled_accuracy"] == sum(a["correct"] for a in answers[20:]) / 60
    assert (
        float(str(metrics["exact_match_low"]))
        <= float(str(metrics["exact_match"]))
        <= float(str(metrics["exact_match_high"]))
    )
    assert {"exact_match/with carry", "exact_match/without carry"} <= set(metrics)


def test_evaluation_finds_all_answers_of_a_model_that_knows_them(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    rows = [json.loads(line) for line in files["sft"].read_text().splitlines()[:1]]
    write_rows(tmp_path / "one.jsonl", rows * 8)
    learn = SFT | {"max_steps": 60, "batch_size": 8}
    taught = make_job(tmp_path / "sft", "sft", learn, model=model, dataset=tmp_path / "one.jsonl")
    assert forked(taught) == 0, taught.log
    question = {"prompt": rows[0]["prompt"], "reference": rows[0]["completion"].rpartition("#")[2], "category": "known"}
    (tmp_path / "asked.jsonl").write_text(json.dumps(question) + "\n")
    spec = EVALUATE | {"max_new_tokens": 30}
    job = make_job(
        tmp_path / "judge", "evaluate", spec, model=taught.folder / "output", dataset=tmp_path / "asked.jsonl"
    )
    assert forked(job) == 0, job.log
    assert job.metrics["exact_match"] == 1.0


@pytest.mark.parametrize(("kind", "spec", "data"), [("sft", SFT, "sft"), ("grpo", GRPO, "grpo")])
def test_the_same_seed_gives_the_same_model_cold_or_forked(
    kind: str, spec: dict[str, object], data: str, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    warm = make_job(tmp_path / "warm", kind, spec, model=taught, dataset=files[data])
    cold = make_job(tmp_path / "cold", kind, spec, model=taught, dataset=files[data])
    assert forked(warm) == 0, warm.log
    command = [sys.executable, "-m", "runners.programs.train", str(cold.folder)]
    with (cold.folder / "log.txt").open("w") as log:
        done = subprocess.run(command, stdout=log, stderr=log, env={**os.environ, "PYTHONHASHSEED": "7"}, check=False)
    assert done.returncode == 0, cold.log
    assert warm.weights == cold.weights
    other = make_job(tmp_path / "other", kind, {**spec, "seed": 4}, model=taught, dataset=files[data])
    assert forked(other) == 0, other.log
    assert warm.weights != other.weights

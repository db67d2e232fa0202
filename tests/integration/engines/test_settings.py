"""Settings that all trainings share: adapters, quantization, optimizers, schedules, validation, the best model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

SFT = {**TRAINING, "max_steps": 12, "batch_size": 8, "max_length": 32}


def curve(job: Job, name: str) -> dict[int, float]:
    with Reader(job.folder / "metrics.sqlite") as run:
        steps, values = run.points(name)
    return dict(zip(steps.tolist(), values.tolist(), strict=True))


def told(job: Job, kind: str) -> list[str]:
    with Reader(job.folder / "metrics.sqlite") as run:
        return [event.text for event in run.events() if event.kind == kind]


def trained(folder: Path, spec: dict[str, object], **paths: Path) -> Job:
    job = make_job(folder, "sft", SFT | spec, **paths)
    assert forked(job) == 0, job.log
    return job


ADAPTERS = {
    "LoRA": {"tuning": "lora", "lora_rank": 4},
    "rsLoRA on two layers": {"tuning": "lora", "lora_variant": "rslora", "lora_targets": "q_proj, v_proj"},
    "DoRA": {"tuning": "lora", "lora_variant": "dora"},
    "NF4": {"tuning": "qlora", "gradient_checkpointing": True},
    "NF4 with DoRA": {"tuning": "qlora", "lora_variant": "dora", "double_quantization": False},
    "8 bits": {"tuning": "qlora", "quantization": "int8"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ADAPTERS)
def test_an_adapter_learns_and_is_all_that_is_saved(
    case: str, tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    job = trained(tmp_path / "job", ADAPTERS[case], model=model, dataset=files["digits"])
    losses = list(curve(job, "loss").values())
    assert losses[-1] < losses[0] - 0.05
    output = job.folder / "output"
    assert {p.name for p in output.glob("*.safetensors")} == {"adapter_model.safetensors"}
    config = json.loads((output / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model)
    two = {"q_proj", "v_proj"}
    learned = {name.split(".")[-3] for name in load_file(output / "adapter_model.safetensors") if "lora_A" in name}
    assert learned == two if "two" in case else learned > two


@pytest.mark.slow
def test_an_adapter_is_merged_trained_on_and_judged_with_its_base(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    inputs = {"dataset": files["digits"]}
    more = {"max_steps": 30, "learning_rate": 2e-2, "tuning": "lora"}
    alone = trained(tmp_path / "alone", more, model=model, **inputs)
    merged = trained(tmp_path / "merged", more | {"adapter_output": "merged"}, model=model, **inputs)
    whole = load_file(merged.folder / "output" / "model.safetensors")
    assert whole.keys() == load_file(model / "model.safetensors").keys()
    assert not list((merged.folder / "output").glob("adapter*"))
    start = {}
    for name, place in (("adapter", alone), ("merged", merged), ("base", None)):
        folder = place.folder / "output" if place else model
        further = trained(tmp_path / f"from-{name}", {"max_steps": 1}, model=folder, **inputs)
        start[name] = curve(further, "loss")[1]
    assert start["adapter"] == pytest.approx(start["merged"], abs=1e-5)
    assert start["adapter"] < start["base"] - 0.1
    onward = trained(tmp_path / "onward", {"max_steps": 1, "tuning": "lora"}, model=alone.folder / "output", **inputs)
    assert curve(onward, "loss")[1] == pytest.approx(start["adapter"], abs=1e-5)
    config = json.loads((onward.folder / "output" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model)


def test_an_adapter_without_its_base_or_on_another_is_named(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(model, base)
    made = trained(tmp_path / "made", {"tuning": "lora", "max_steps": 1}, model=base, dataset=files["digits"])
    moved = tmp_path / "elsewhere"
    base.rename(moved)
    lost = make_job(tmp_path / "lost", "sft", SFT, model=made.folder / "output", dataset=files["digits"])
    assert forked(lost) == 1
    assert f"was trained on {base}, which is not there" in lost.sentence
    odd = make_job(
        tmp_path / "odd",
        "sft",
        SFT | {"tuning": "lora", "lora_targets": "q_proj,wq"},
        model=moved,
        dataset=files["digits"],
    )
    assert forked(odd) == 1
    assert "no layer named wq" in odd.sentence
    assert "q_proj" in odd.sentence


def test_four_bits_in_narrow_layers_are_refused_where_they_would_break(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    spec = SFT | {"tuning": "qlora", "validation_share": 0.2}
    job = make_job(tmp_path / "job", "sft", spec, model=model, dataset=files["digits"])
    assert forked(job) == 1
    assert "multiple of 32; this model has one of 16: take 8 bits" in job.sentence
    eight = make_job(tmp_path / "eight", "sft", spec | {"quantization": "int8"}, model=model, dataset=files["digits"])
    assert forked(eight) == 0, eight.log


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adafactor", "muon", "adamw_8bit"])
def test_every_optimizer_learns(optimizer: str, tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    job = trained(tmp_path / "job", {"optimizer": optimizer}, model=model, dataset=files["digits"])
    losses = list(curve(job, "loss").values())
    assert losses[-1] < losses[0] - 0.3


def test_the_rate_of_wsd_stays_and_then_falls_to_its_floor(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    spec = {"lr_scheduler": "warmup_stable_decay", "warmup_steps": 2, "decay_share": 0.5, "min_lr_ratio": 0.25}
    job = trained(tmp_path / "job", {**spec, "max_steps": 10}, model=model, dataset=files["digits"])
    rates = list(curve(job, "learning_rate").values())
    assert rates[:5] == pytest.approx([0.0025, 0.00625, 0.01, 0.01, 0.01])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0.0025 < rates[-1] < 0.005


@pytest.mark.slow
def test_validation_stops_a_training_and_the_best_model_is_taken(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    spec = {"validation_share": 0.3, "eval_every": 2, "early_stopping": 2, "learning_rate": 0.1, "max_steps": 60}
    best = {"keep_best": "eval_loss", "save_every": 2, "final_model": "best"}
    job = trained(tmp_path / "job", spec | best, model=model, dataset=files["digits"])
    measured = curve(job, "eval_loss")
    lowest = min(measured, key=lambda step: measured[step])
    assert job.metrics["steps"] == max(measured) < 60
    assert told(job, "stopped_early") == [
        f"stopped early: eval_loss was best at step {lowest} ({measured[lowest]:.4g})"
    ]
    assert told(job, "took_best") == [f"the model is that of step {lowest}, the best by eval_loss"]
    checkpoint = job.folder / "checkpoints" / f"step-{lowest}" / "model.safetensors"
    kept, taken = load_file(checkpoint), load_file(job.folder / "output" / "model.safetensors")
    assert all((kept[name] == taken[name]).all() for name in taken)


def test_a_validation_dataset_of_its_own_is_measured(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    job = trained(
        tmp_path / "job",
        {"eval_every": 6},
        model=model,
        dataset=files["digits"],
        validation_dataset=files["sft"],
    )
    assert list(curve(job, "eval_loss")) == [6, 12]
    assert "eval_runtime" not in job.metrics

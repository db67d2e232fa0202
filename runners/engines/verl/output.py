"""A checkpoint of verl as a Hugging Face model in `run.output`, as the hf engine leaves it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from platform_core.algorithms.engines import EngineSpec
from platform_core.errors import Problem
from platform_core.files import read_json, write_json
from runners.engines.hf import adapter
from runners.engines.hf.model import load_model, save_model
from runners.job import Run
from runners.report import Report

ADAPTER = "lora_adapter"


def save_output(run: Run, report: Report, checkpoint: Path, tokenizer: Any) -> int:
    """Merge the shards of a whole checkpoint, and write model or adapter with tokenizer and lineage; its parameters."""
    spec = run.spec
    assert isinstance(spec, EngineSpec)
    report.phase("merging the checkpoint")
    shards = checkpoint / "actor" if (checkpoint / "actor").is_dir() else checkpoint
    merged = run.folder / f".merged.{run.attempt}.part"
    merge(shards, merged, "megatron" if spec.strategy == "megatron" else "fsdp")
    model: Any
    if spec.tuning == "lora":
        correct_adapter(merged / ADAPTER, spec)
        model = adapter.put_on(load_model(run.paths["model"], tokenizer), merged / ADAPTER)
    else:
        model = load_model(merged, tokenizer)
    save_model(model, tokenizer, run)
    shutil.rmtree(merged)
    return int(model.num_parameters())


def merge(shards: Path, target: Path, backend: str) -> None:
    """verl's own merger, in a process of its own. Raises Problem with its last line when it fails."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-P", "-m", "runners.engines.verl.merge", backend, str(shards), str(target)]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    sys.stderr.write(ran.stdout + ran.stderr)
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.strip()]
        raise Problem(
            "The checkpoint {folder} could not be made a model: {reason}. It is still there.",
            folder=str(shards),
            reason=said[-1][:200] if said else f"exit code {ran.returncode}",
        )


def correct_adapter(folder: Path, spec: EngineSpec) -> None:
    """The merger infers rank and alpha from what it finds; the spec knows them."""
    config = read_json(folder / "adapter_config.json") or {}
    write_json(folder / "adapter_config.json", {**config, "r": spec.lora_rank, "lora_alpha": spec.scale})

"""Every attempt says what it was made of: enough to know whether another run had the same inputs and code."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import torch

from platform_core.files import read_json
from runners.provenance import ROOT, commit, hashes
from tests.integration.engines.jobs import SIZES, TRAINING, forked, make_job


def test_hashes_of_a_file_and_of_a_model_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "notes.md").write_text("not hashed")
    assert hashes(tmp_path) == {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert hashes(tmp_path / "notes.md") == {"notes.md": hashlib.sha256(b"not hashed").hexdigest()}


def test_the_commit_is_gits_own(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path)]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    said = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert commit(tmp_path) == said
    subprocess.run([*git, "pack-refs", "--all"], check=True)
    assert commit(tmp_path) == said
    assert commit(ROOT / "docs") is None


def test_a_run_writes_it_beside_the_training(tmp_path: Path, files: dict[str, Path], tokenizer: Path) -> None:
    spec = {**SIZES, **TRAINING, "max_steps": 2, "batch_size": 4, "max_length": 32}
    job = make_job(tmp_path / "job", "pretrain", spec, tokenizer=tokenizer, dataset=files["pretrain"])
    assert forked(job) == 0, job.log
    made_of = read_json(job.folder / "attempts" / "1" / "provenance.json")
    assert made_of is not None
    inputs = made_of["inputs"]
    assert isinstance(inputs, dict)
    assert inputs["dataset"] == {files["pretrain"].name: hashlib.sha256(files["pretrain"].read_bytes()).hexdigest()}
    assert "tokenizer.json" in inputs["tokenizer"]
    assert made_of["seed"] == TRAINING["seed"]
    libraries = made_of["libraries"]
    assert isinstance(libraries, dict)
    assert libraries["torch"] == torch.__version__.partition("+")[0] or libraries["torch"] == torch.__version__

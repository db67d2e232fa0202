"""Every attempt says what it was made of: enough to know whether another run had the same inputs and code."""

from __future__ import annotations

import hashlib
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from platform_core.files import read_json
from platform_core.jobs.inputs import digest, hashes
from platform_core.root import ROOT
from runners.launchers.environment import redacted, runner_environment
from runners.provenance import changed, commit
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
    assert changed(ROOT / "docs") == "unknown"
    assert changed(tmp_path) is False
    (tmp_path / "code.py").write_text("1")
    subprocess.run([*git, "add", "code.py"], check=True)
    assert changed(tmp_path) is True


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
    assert libraries["torch"] == version("torch")
    packages = made_of["packages"]
    assert isinstance(packages, dict)
    assert packages["torch"] == version("torch")
    assert made_of["packages_sha256"] == digest(packages)
    assert made_of["threads"] == 1


def test_no_secret_is_in_what_is_recorded(
    tmp_path: Path, files: dict[str, Path], tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "WANDB_API_KEY", "SOME_SECRET"):
        monkeypatch.setenv(name, "canary-4711")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:canary-4711@index.example.org/simple")
    spec = {**SIZES, **TRAINING, "max_steps": 2, "batch_size": 4, "max_length": 32}
    job = make_job(tmp_path / "job", "pretrain", spec, tokenizer=tokenizer, dataset=files["pretrain"])
    assert forked(job) == 0, job.log
    written = [p for p in job.folder.rglob("*") if p.is_file()]
    assert not [p for p in written if b"canary-4711" in p.read_bytes()]
    assert "canary-4711" not in str(redacted(runner_environment(tmp_path, 1)))

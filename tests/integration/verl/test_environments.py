"""Interpreters that lack what verl takes: said before a training starts, by name, with the way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platform_core.environments import service as environments
from platform_core.environments.health import normal
from platform_core.jobs import service as jobs
from platform_core.workspace.service import Workspace, open_workspace
from tests.integration.verl.jobs import ROLLOUT

SITE = Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


@pytest.fixture
def workspace(tmp_path: Path, taught: Path, files: dict[str, Path]) -> Workspace:
    made = open_workspace(tmp_path / "home")
    shutil.copytree(taught, made.models / "taught")
    shutil.copy(files["grpo"], made.datasets / "sums.jsonl")
    return made


def python_without(folder: Path, *packages: str) -> Path:
    """A virtual environment with everything that this one has, except some packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3.*/site-packages")
    lacked = tuple(normal(name).replace("-", "_") for name in packages)
    for entry in SITE.iterdir():
        name = normal(entry.name).replace("-", "_")
        if not any(name == one or (name.startswith(f"{one}_") and "dist_info" in name) for one in lacked):
            os.symlink(entry, site / entry.name)
    return folder / "bin" / "python"


def asked(**more: Any) -> dict[str, Any]:
    return {**ROLLOUT, "model": "taught", "dataset": "sums.jsonl", "max_steps": 2, **more}


def errors(workspace: Workspace, kind: str, values: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    _, findings = jobs.examine(workspace, kind, values)
    return [(str(f.text), f.fields) for f in findings if f.level == "error"]


@pytest.mark.parametrize("package", ["verl", "ray"])
def test_an_environment_without_it_is_refused_by_name(package: str, workspace: Workspace, tmp_path: Path) -> None:
    python = python_without(tmp_path / "other", package)
    found = subprocess.run([python, "-c", f"import {package}"], capture_output=True, text=True, check=False)
    assert f"No module named '{package}'" in found.stderr
    environments.add(workspace.home, "other", str(python))
    for kind in ("grpo", "reinforce_pp"):
        ((said, fields),) = errors(workspace, kind, asked(environment="other"))
        assert said.startswith(f"The environment other can't run verl: it lacks {package}. Install that"), said
        assert fields == ("environment",)
    command = [sys.executable, "-m", "app.cli", "train", "grpo", "--environment", "other"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in asked().items()]
    ran = subprocess.run(
        command, env={**os.environ, "PLATFORM_HOME": str(workspace.home)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert f"it lacks {package}" in ran.stderr
    assert jobs.list_jobs(workspace) == []


def test_a_machine_where_nothing_is_installed_is_told_how(workspace: Workspace, tmp_path: Path) -> None:
    """The platform itself, run by a Python without verl and Ray."""
    python = python_without(tmp_path / "bare", "verl", "ray", "TransferQueue", "tensordict", "torchdata")
    values = json.dumps(asked())
    code = (
        "import json, sys; from platform_core.jobs import service; from platform_core.workspace.service import "
        "open_workspace; from pathlib import Path\n"
        "_, found = service.examine(open_workspace(Path(sys.argv[1])), 'grpo', json.loads(sys.argv[2]))\n"
        "print(json.dumps([str(f.text) for f in found if f.level == 'error']))"
    )
    command = [str(python), "-c", code, str(workspace.home), values]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    (said,) = json.loads(ran.stdout)
    assert said.startswith("verl is not installed here (missing: verl, ray, tensordict, TransferQueue"), said
    assert "run `make setup-verl`" in said


def test_rollouts_on_gpus_without_vllm_are_refused(workspace: Workspace) -> None:
    """A GPU is asked for, which the queue may have elsewhere; vLLM is not in this interpreter."""
    found = errors(workspace, "grpo", asked(device="cuda"))
    assert any("vLLM, which the environment base lacks" in said and "environment" in fields for said, fields in found)
    for values in (asked(device="cuda", ray_address="10.0.0.1:6379"), asked()):
        assert not [said for said, _ in errors(workspace, "grpo", values) if "vLLM" in said]
    sft = {"engine": "verl", "device": "cuda", "model": "taught", "dataset": "sums.jsonl"}
    assert not [said for said, _ in errors(workspace, "sft", sft) if "vLLM" in said]

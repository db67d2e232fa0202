"""For tests on a real NVIDIA GPU: models and datasets of the engines' tests, workspaces of the supervisor's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_core.hosts.devices import Gpu
from platform_core.hosts.nvml import read_gpus
from tests.integration.engines.conftest import files, model, taught, tokenizer
from tests.integration.supervisor.conftest import new_stage
from tests.integration.supervisor.stage import Stage

__all__ = ["files", "model", "new_stage", "taught", "tokenizer"]


@pytest.fixture(scope="session")
def card() -> Gpu:
    """The first GPU of this machine."""
    found, trouble = read_gpus()
    if not found:
        pytest.fail(f"this machine has no NVIDIA GPU that answers: {trouble or 'there is no driver'}")
    return found[0]


@pytest.fixture
def stage(card: Gpu, new_stage: Callable[..., Stage], taught: Path, files: dict[str, Path]) -> Stage:
    """A workspace with a small model `taught` and the datasets of `files`, whose runners come from a warm parent."""
    made = new_stage(LATHE_STOP_GRACE="5", LATHE_WARM="all")
    shutil.copytree(taught, made.workspace.models / "taught")
    for file in files.values():
        shutil.copyfile(file, made.workspace.datasets / file.name)
    return made

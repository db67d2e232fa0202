"""The stage of tests/integration/supervisor, and a small disk."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.supervisor.conftest import _rehearsal, new_stage
from tests.integration.supervisor.stage import Stage

__all__ = ["_rehearsal", "new_stage"]


@pytest.fixture
def stage(new_stage: Callable[..., Stage]) -> Stage:
    return new_stage(LATHE_STOP_GRACE="1", LATHE_WARM="frame")


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """The jobs' folder on a disk of its own of eight megabytes; mounting needs root, as the tests' container has."""
    place = stage.workspace.jobs
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "lathe-test", str(place)], check=True)
    yield place
    stage.close()
    subprocess.run(["umount", "--lazy", str(place)], check=True)

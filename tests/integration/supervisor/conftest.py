"""Workspaces with a kind of job of the tests' own, `rehearsal`, whose runs take as long as a test likes."""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform_core.algorithms.registry import algorithms
from platform_core.hosts import nvml

from .stage import REHEARSAL, ROOT, Stage

FAKE_NVML = ROOT / "tests" / "fake_nvml"


@pytest.fixture(autouse=True)
def _rehearsal() -> Iterator[None]:
    kind = runpy.run_path(str(REHEARSAL / "sitecustomize.py"))
    algorithms.cache_clear()
    yield
    kind["remove"]()
    algorithms.cache_clear()


@pytest.fixture
def new_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes a workspace; all its processes end with the test."""
    made: list[Stage] = []

    def make(**settings: str) -> Stage:
        made.append(Stage(tmp_path / f"home{len(made)}", settings))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture
def stage(new_stage: Callable[..., Stage]) -> Stage:
    return new_stage(LATHE_STOP_GRACE="1")


@pytest.fixture
def tell_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Says what the fake NVML of this process and of `gpu_stage` tells: the keys of its file."""
    path = tmp_path / "nvml.json"

    def write(**told: object) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(told))
        part.replace(path)

    monkeypatch.syspath_prepend(str(FAKE_NVML))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setenv("FAKE_NVML", str(path))
    nvml.close()
    yield write
    nvml.close()
    sys.modules.pop("pynvml", None)


@pytest.fixture
def gpu_stage(new_stage: Callable[..., Stage], tell_nvml: Callable[..., None]) -> Stage:
    return new_stage(LATHE_STOP_GRACE="1", PYTHONPATH=os.pathsep.join(map(str, (ROOT, REHEARSAL, FAKE_NVML))))

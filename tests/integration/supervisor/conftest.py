"""Workspaces with a kind of job of the tests' own, `rehearsal`, whose runs take as long as a test likes."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform_core.algorithms.registry import algorithms

from .stage import REHEARSAL, Stage


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

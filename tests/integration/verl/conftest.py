"""Trainings on real verl and real Ray on the CPU. `make test` runs the shortest that prove it, `make verl` all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_core.jobs import processes
from tests.integration.engines.conftest import files, model, taught, tokenizer

__all__ = ["files", "model", "taught", "tokenizer"]

collect_ignore = [] if os.environ.get("LATHE_VERL") == "all" else ["test_more.py"]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No process of a training outlives it, and no folder of Ray."""
    before = set(Path("/tmp").glob("lathe-ray-*"))
    yield
    mark = str(tmp_path).encode()
    left = [row.pid for row in processes.table() if row.state not in "ZXx" and mark in environment(row.pid)]
    assert not left, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
    assert not set(Path("/tmp").glob("lathe-ray-*")) - before


def environment(pid: int) -> bytes:
    """What a process was started with; empty for those that are gone or not ours."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""

"""Trainings on real verl and real Ray on the CPU. `make test` runs the shortest that prove it, `make verl` all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_core.jobs import processes
from tests.integration.engines.conftest import files, model, taught, tokenizer
from tests.integration.engines.jobs import TRAINING, forked, make_job

__all__ = ["files", "model", "taught", "tokenizer"]

LONG = ["test_algorithms.py", "test_browser.py", "test_faults.py", "test_life.py"]
collect_ignore = [] if os.environ.get("LATHE_VERL") == "all" else LONG


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory, taught: Path) -> Path:
    """A reward model that prefers the right sum."""
    folder = tmp_path_factory.mktemp("scorer")
    sums = [(a, b) for a in range(5) for b in range(4)]
    rows = [{"prompt": f"{a}+{b}=", "chosen": f"#{a + b}", "rejected": f"#{a + b + 1}"} for a, b in sums]
    data = folder / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    spec = {**TRAINING, "max_steps": 20, "batch_size": 10, "max_length": 32}
    job = make_job(folder / "job", "reward_model", spec, model=taught, dataset=data)
    assert forked(job) == 0, job.log
    return job.folder / "output"


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No process of a training outlives it, and no folder of Ray."""
    before = set(Path("/tmp").glob("lathe-ray-*"))
    yield
    left = marked(str(tmp_path))
    assert not left, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
    assert not set(Path("/tmp").glob("lathe-ray-*")) - before


def marked(mark: str) -> list[int]:
    """What lives with `mark` in the environment that it was started with."""
    rows = [row for row in processes.table() if row.state not in "ZXx"]
    return [row.pid for row in rows if mark.encode() in environment(row.pid)]


def environment(pid: int) -> bytes:
    """What a process was started with; empty for those that are gone or not ours."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""

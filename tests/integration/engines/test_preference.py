"""Training on preferences: what each kind reports, leaves and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from platform_core.metrics.reader import Event, Reader
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

SPEC = {**TRAINING, "max_steps": 8, "batch_size": 4, "max_length": 32, "logging_steps": 2}


@pytest.mark.parametrize("kind", ["dpo", "orpo", "kto"])
def test_each_kind(kind: str, tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    job = make_job(tmp_path, kind, SPEC, model=taught, dataset=files["kto" if kind == "kto" else "pairs"])
    assert forked(job) == 0, job.log

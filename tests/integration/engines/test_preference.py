"""Training on preferences: what each kind reports, leaves and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from platform_core.algorithms.registry import algorithm
from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, forked, make_job

SPEC = {**TRAINING, "max_steps": 8, "batch_size": 4, "max_length": 32, "logging_steps": 2}


KINDS = {
    "dpo": ("dpo", {"save_every": 3}),
    "ipo": ("dpo", {"loss": "ipo"}),
    "cdpo an adapter": ("dpo", {"loss": "cdpo", "tuning": "lora"}),
    "simpo": ("dpo", {"loss": "simpo", "gradient_checkpointing": True}),
    "orpo": ("orpo", {"dtype": "bfloat16"}),
    "orpo an adapter": ("orpo", {"tuning": "lora", "adapter_output": "merged"}),
    "kto": ("kto", {}),
    "kto an adapter": ("kto", {"tuning": "lora"}),
    "reward model": ("reward_model", {}),
    "reward model an adapter": ("reward_model", {"tuning": "lora"}),
    "reward model merged": ("reward_model", {"tuning": "lora", "adapter_output": "merged"}),
    "dpo on 8 bits": ("dpo", {"tuning": "qlora", "quantization": "int8"}),
}


@pytest.mark.parametrize("case", KINDS)
def test_each_kind_trains_and_measures(case: str, tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    kind, more = KINDS[case]
    spec = SPEC | {"validation_share": 0.2, "eval_every": 4} | more
    job = make_job(tmp_path, kind, spec, model=taught, dataset=files[kind])
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as run:
        names = set(run.names())
        shown = set(algorithm(kind).metrics)
        assert shown <= names, shown - names
        assert run.points("eval_loss")[0].tolist() == [4, 8]
        assert all(np.isfinite(run.points(name)[1]).all() for name in names)
    assert json.loads((job.folder / "output/lathe.json").read_text())["kind"] == kind

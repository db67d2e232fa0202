"""The learning rates that are called usual follow the size of the model and what of it is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from platform_core.jobs.examine import examine
from platform_core.jobs.usual import scale, size
from platform_core.workspace.service import open_workspace
from tests.unit.core.folders import model_folder


def test_a_rate_of_large_models_is_unusual_for_a_small_one(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    folder = model_folder(workspace.models / "small")
    save_file({"w": np.zeros((100, 1000), np.float32)}, folder / "model.safetensors")
    (workspace.datasets / "sums.jsonl").write_text('{"prompt": "1+1=", "response": "2"}\n' * 20)
    values = {"model": "small", "dataset": "sums.jsonl"}
    findings = examine(workspace, "sft", values)[1]
    (told,) = [f for f in findings if "learning_rate" in f.fields]
    assert told.level == "warning"
    assert "usual for" in str(told.text)
    high = float(str(told.text.values["high"]))
    fitting = examine(workspace, "sft", {**values, "learning_rate": high / 2})[1]
    assert [f.level for f in fitting if "learning_rate" in f.fields] == ["usual"]
    assert examine(workspace, "sft", values)[0] is not None, "a warning forbids nothing"


def test_rates_grow_with_the_inverse_root_of_the_size_and_for_adapters() -> None:
    assert scale(7_000_000_000, adapter=False) == 1.0
    assert scale(10_000_000, adapter=False) == pytest.approx(10.0)
    assert scale(1_000_000_000, adapter=True) == 10.0


@pytest.mark.parametrize(("n", "words"), [(153_728, "0.15 M"), (7_240_000_000, "7.2 B"), (28_864, "29 k")])
def test_sizes_are_said_in_two_digits(n: int, words: str) -> None:
    assert size(n) == words

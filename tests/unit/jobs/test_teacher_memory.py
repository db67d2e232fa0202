"""The teacher of a distillation is in the memory that a job asks the queue for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.jobs.check import check
from platform_core.jobs.estimate import asks
from platform_core.workspace.service import open_workspace
from tests.unit.core.folders import model_folder


def memory(home: Path, kind: str, **more: Any) -> int:
    chosen, workspace = algorithm(kind), open_workspace(home)
    spec = chosen.spec.model_validate({"model": "small", "dataset": "d.jsonl", "cpu_slots": 1, **more})
    return int(asks(workspace, chosen, spec, ())["memory_bytes"])


def test_offline_it_counts_while_it_answers_and_on_policy_all_the_time(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    for name in ("small", "large"):
        model_folder(workspace.models / name, context=64)
    alone = memory(tmp_path, "sft", max_length=64)
    few = memory(tmp_path, "distill", teacher="large", max_length=64, max_new_tokens=8, answer_batch_size=1)
    many = memory(tmp_path, "distill", teacher="large", max_length=64, max_new_tokens=64, answer_batch_size=65_536)
    assert few == alone
    assert many > alone
    on_policy = memory(tmp_path, "distill_on_policy", teacher="large", max_completion_length=64)
    assert on_policy > alone


def test_an_unlike_teacher_is_told_before_the_job(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    for name in ("small", "large"):
        model_folder(workspace.models / name, context=64)
    (workspace.datasets / "d.jsonl").write_text('{"prompt": "1+1="}\n' * 8)
    chosen = algorithm("distill_on_policy")
    spec = chosen.spec.model_validate({"model": "small", "teacher": "large", "dataset": "d.jsonl", "cpu_slots": 1})
    assert not [f for f in check(workspace, chosen, spec) if "tokenizers" in str(f.text)]
    for name, words in (("small", {"a": 0}), ("large", {"a": 0, "b": 1})):
        text = json.dumps({"model": {"type": "BPE", "vocab": words}, "added_tokens": []})
        (workspace.models / name / "tokenizer.json").write_text(text)
    (found,) = [f for f in check(workspace, chosen, spec) if "tokenizers" in str(f.text)]
    assert (found.level, found.fields) == ("error", ("teacher", "model"))

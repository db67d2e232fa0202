"""Small datasets, a tokenizer and a model, made by real jobs once a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from platform_core.demo import data
from tests.integration.engines.jobs import SIZES, TRAINING, forked, make_job
from tests.rows import write_rows


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small datasets of sums: 400 texts, 96 answers, 20 questions; and 32 sums with one-digit results for GRPO,
    as pairs of a right and a wrong answer and as rated answers."""
    folder = tmp_path_factory.mktemp("datasets")
    found = {}
    for role, most in (("pretrain", 400), ("sft", 96), ("heldout", 20)):
        lines = [json.dumps(row) for row, _ in zip(data.ROWS[role](0), range(most), strict=False)]
        found[role] = folder / f"{role}.jsonl"
        found[role].write_text("\n".join(lines) + "\n")
    sums = [(a, b) for a in range(7) for b in range(7) if a + b < 7] + [(7, 0), (0, 7), (8, 0), (0, 8)]
    for role, answer in (("digits", "completion"), ("grpo", "answer")):
        found[role] = folder / f"{role}.jsonl"
        mark = "#" if answer == "completion" else ""
        rows = [json.dumps({"prompt": f"{a}+{b}=", answer: f"{mark}{a + b}"}) for a, b in sums]
        found[role].write_text("\n".join(rows) + "\n")
    pairs = [{"prompt": f"{a}+{b}=", "chosen": f"#{a + b}", "rejected": f"#{(a + b + 3) % 10}"} for a, b in sums]
    rated = [
        {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}
        for pair in pairs
        for side in ("chosen", "rejected")
    ]
    for role, made in (("dpo", pairs), ("orpo", pairs), ("reward_model", pairs), ("kto", rated)):
        found[role] = folder / f"{role}.jsonl"
        write_rows(found[role], made)
    found |= {"distill": found["digits"], "distill_on_policy": found["digits"]}
    thought = [
        {"prompt": f"{a}+{b}=", "completion": f"<think>{a} {b}</think>" * (a > 1) + f"#{a + b}"} for a, b in sums
    ]
    found["distill_reasoning"] = folder / "thought.jsonl"
    write_rows(found["distill_reasoning"], thought)
    return found


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]) -> Path:
    job = make_job(tmp_path_factory.mktemp("tokenizer"), "tokenizer", {"vocab_size": 300}, dataset=files["pretrain"])
    assert forked(job) == 0, job.log
    return job.folder / "output"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path], tokenizer: Path) -> Path:
    spec = {**SIZES, **TRAINING, "max_steps": 10, "batch_size": 4, "max_length": 32}
    folder = tmp_path_factory.mktemp("model")
    job = make_job(folder, "pretrain", spec, tokenizer=tokenizer, dataset=files["pretrain"])
    assert forked(job) == 0, job.log
    return folder / "output"


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path], model: Path) -> Path:
    """A model that has half learned sums with one-digit results, so that GRPO finds right and wrong answers."""
    folder = tmp_path_factory.mktemp("taught")
    spec = {**TRAINING, "max_steps": 60, "batch_size": 16, "max_length": 32}
    job = make_job(folder, "sft", spec, model=model, dataset=files["digits"])
    assert forked(job) == 0, job.log
    return folder / "output"

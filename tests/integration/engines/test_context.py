"""A model with learned positions breaks beyond its context: rows, rollouts and answers end there instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from tests.integration.engines.jobs import TRAINING, forked, make_job

CONTEXT = 24


@pytest.fixture(scope="module")
def short_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Path:
    folder = tmp_path_factory.mktemp("short")
    words = AutoTokenizer.from_pretrained(tokenizer)
    ids = {"bos_token_id": words.eos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = GPT2Config(vocab_size=len(words), n_embd=16, n_layer=1, n_head=2, n_positions=CONTEXT, **ids)
    GPT2LMHeadModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "data", "spec"),
    [
        ("pretrain", "pretrain", {**TRAINING, "start": "model", "max_length": 256, "max_steps": 2, "batch_size": 2}),
        ("sft", "sft", {**TRAINING, "max_length": 256, "max_steps": 2, "batch_size": 2}),
        (
            "grpo",
            "grpo",
            {**TRAINING, "max_completion_length": 256, "max_steps": 1, "batch_size": 4, "num_generations": 2},
        ),
        ("evaluate", "heldout", {"max_new_tokens": 256, "samples": 1, "cpu_slots": 1}),
    ],
)
def test_what_is_longer_than_the_context_ends_there(
    tmp_path: Path, files: dict[str, Path], short_model: Path, kind: str, data: str, spec: dict[str, object]
) -> None:
    job = make_job(tmp_path / "job", kind, spec, model=short_model, dataset=files[data])
    assert forked(job) == 0, job.log
    assert job.result["status"] == "completed"


def test_a_prompt_that_fills_the_context_is_named(tmp_path: Path, short_model: Path) -> None:
    rows = tmp_path / "long.jsonl"
    row = {"prompt": "1 2 3 4 5 6 7 8 9 " * 6, "answer": "1"}
    rows.write_text((json.dumps(row) + "\n") * 4)
    spec = {**TRAINING, "max_steps": 1, "batch_size": 4, "num_generations": 2}
    job = make_job(tmp_path / "job", "grpo", spec, model=short_model, dataset=rows)
    assert forked(job) == 1
    assert f"the model sees only {CONTEXT}" in job.sentence

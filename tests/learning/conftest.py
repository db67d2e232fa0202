"""What the learning tests start from: a tokenizer and a small language model, made by real jobs once a session."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.integration.engines.jobs import SIZES, TRAINING, forked, make_job
from tests.rows import write_rows


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has seen strings of digits and sums, and knows nothing of what is good."""
    folder, rng = tmp_path_factory.mktemp("start"), random.Random(0)
    texts = write_rows(
        folder / "texts.jsonl", ({"text": f"{rng.randrange(1000)}>{rng.randrange(1000)}"} for _ in range(200))
    )
    words = make_job(folder / "tokenizer", "tokenizer", {"vocab_size": 270, "seed": 3}, dataset=texts)
    assert forked(words) == 0, words.log
    spec = {**SIZES, **TRAINING, "hidden_size": 32, "max_steps": 20, "batch_size": 8, "max_length": 32}
    model = make_job(folder / "pretrain", "pretrain", spec, tokenizer=words.folder / "output", dataset=texts)
    assert forked(model) == 0, model.log
    return model.folder / "output"

"""Rows become the ids and labels that TRL's SFTTrainer would make of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from datasets import Dataset
from transformers import PreTrainedTokenizerFast
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from platform_core.algorithms.tokenizer import TokenizerSpec
from platform_core.models.architecture import Architecture
from runners.engines.hf.data import IGNORED, packed, supervised
from runners.engines.hf.model import build_model
from runners.engines.hf.reporting import layer_name
from runners.engines.hf.tokenizer import EOS, PAD, learn

WORDS = ["sun", "moon", "star", "Ünïcode", "12", "7+8=", "  spaced ", "\n", "end."]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    rng = random.Random(0)
    texts = ["".join(rng.choices(WORDS, k=8)) for _ in range(200)]
    learned = learn(texts, TokenizerSpec(dataset="d", vocab_size=300, split_digits=False))
    return PreTrainedTokenizerFast(tokenizer_object=learned, pad_token=PAD, eos_token=EOS, padding_side="left")


@pytest.mark.parametrize("completion_only", [True, False])
def test_prompts_with_answers_equal_trls(
    completion_only: bool, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    rng = random.Random(1)
    rows = [
        {"prompt": "".join(rng.choices(WORDS, k=rng.randint(1, 9))), "completion": "".join(rng.choices(WORDS, k=4))}
        for _ in range(60)
    ]
    sizes = {"hidden_size": 8, "layers": 1, "heads": 2, "kv_heads": 2, "intermediate_size": 8, "context_length": 32}
    model = build_model(Architecture(family="llama", vocab_size=len(tokenizer), **sizes), tokenizer, 0)
    arguments = SFTConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        max_length=12,
        completion_only_loss=completion_only,
        report_to="none",
    )
    theirs = SFTTrainer(
        model, arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    ).train_dataset
    ours = supervised(rows, tokenizer, 12, completion_only, "rows")
    assert list(theirs["input_ids"]) == ours.input_ids
    assert list(theirs["labels"]) == ours.labels
    assert ours.cut > 0


def test_rows_that_lose_their_answer_are_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [{"prompt": "sun moon " * 20, "completion": "12"}, {"prompt": "12", "completion": "moon"}]
    examples = supervised(rows, tokenizer, 16, True, "rows")
    assert (len(examples.input_ids), examples.dropped, examples.cut) == (1, 1, 1)
    assert examples.labels[0][0] == IGNORED
    assert examples.labels[0][-1] == tokenizer.eos_token_id


def test_packing_keeps_every_token_in_order(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = ["sun moon", "star", "7+8=15", "the end" + EOS]
    stream = [i for text in texts for i in tokenizer(text.removesuffix(EOS) + EOS)["input_ids"]]
    rows = list(packed(texts, tokenizer, 4)["input_ids"])
    assert all(len(row) == 4 for row in rows)
    assert [i for row in rows for i in row] == stream[: len(stream) // 4 * 4]
    assert list(packed(texts, tokenizer, 1000)["input_ids"]) == [stream]


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("model.embed_tokens.weight", "embed_tokens"),
        ("model.layers.11.mlp.gate_proj.weight", "layer.11"),
        ("model.norm.weight", "norm"),
        ("lm_head.weight", "lm_head"),
        ("transformer.h.0.attn.c_attn.bias", "layer.0"),
    ],
)
def test_gradient_norms_are_named_by_layer(parameter: str, name: str) -> None:
    assert layer_name(parameter) == name

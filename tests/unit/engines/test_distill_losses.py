"""One step of each loss of distillation against a plain reference, and which tokens count as reasoning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import PreTrainedTokenizerFast
from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.sft_config import SFTConfig

from platform_core.algorithms.distill_on_policy import OnPolicySpec
from platform_core.models.chat_template import READY
from runners.engines.hf.conversation import IGNORED
from runners.engines.hf.data import supervised
from runners.engines.hf.distill_on_policy import OnPolicyTrainer
from runners.engines.hf.packing import Collator, pack
from runners.engines.hf.weighted_loss import WeightedTrainer
from tests.unit.engines.test_supervised import tiny, words

QUIET = {"use_cpu": True, "bf16": False, "report_to": "none", "disable_tqdm": True, "gradient_checkpointing": False}
TAGS = ("<think>", "</think>")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    made = words([])
    made.chat_template = READY["plain"]
    return made


def marked(row: dict[str, Any], tokenizer: PreTrainedTokenizerFast, completion_only: bool = True) -> str:
    """The tokens of a row that count as reasoning, as text."""
    found = supervised([row], tokenizer, 200, completion_only, "rows", tags=TAGS)
    ids = [i for i, mark in zip(found.input_ids[0], found.reasoning[0], strict=True) if mark]
    assert all(label != IGNORED for label, mark in zip(found.labels[0], found.reasoning[0], strict=True) if mark)
    return str(tokenizer.decode(ids))


@pytest.mark.parametrize(
    ("prompt", "completion", "reasoning"),
    [
        ("one 7", "<think>two</think>three", "<think>two</think>"),
        ("one 7", "7<think>two</think>and<think>7</think>three", "<think>two</think><think>7</think>"),
        ("one 7", "<think>two three", "<think>two three<eos>"),
        ("one <think>\n", "two</think>three", "two</think>"),
        ("write <think> first", "three", ""),
        ("one 7", "three", ""),
        ("Ünïcode 一二", "<think>三四🙂</think>五", "<think>三四🙂</think>"),
    ],
)
def test_what_stands_between_the_tags_is_reasoning(
    prompt: str, completion: str, reasoning: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    assert marked({"prompt": prompt, "completion": completion}, tokenizer) == reasoning


def test_reasoning_in_each_turn_of_a_conversation(tokenizer: PreTrainedTokenizerFast) -> None:
    turns = [
        {"role": "user", "content": "one <think>"},
        {"role": "assistant", "content": "<think>two</think>three"},
        {"role": "user", "content": "7</think>"},
        {"role": "assistant", "content": "<think>7</think>and"},
    ]
    found = marked({"messages": turns}, tokenizer)  # with the space before each tag, which is one token with it
    assert found == " <think>two</think> <think>7</think>"


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.5])
@pytest.mark.parametrize("packed", [False, True])
def test_the_weighted_loss_is_the_plain_weighted_mean(weight: float, packed: bool, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    rows = []
    for length in (9, 5, 7, 8):
        ids = torch.randint(1, 50, (length,), generator=generator).tolist()
        marks = [0.0, 0.0, *torch.randint(0, 2, (length - 3,), generator=generator).tolist(), 0.0]
        rows.append({"input_ids": ids, "labels": [IGNORED] * 2 + ids[2:], "reasoning": marks})
    data = Dataset.from_list(rows)
    model = tiny()
    trainer = WeightedTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(tmp_path),
            **QUIET,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=data,
        processing_class=words([]),
        data_collator=Collator(0),
        reasoning_weight=weight,
    )
    given = list(pack(data, 20, "best_fit") if packed else data)
    batches = [Collator(0)(given[:1]), Collator(0)(given[1:])]  # accumulated to one update
    whole = trainer._get_num_items_in_batch(batches, torch.device("cpu"))
    found = sum(trainer.compute_loss(model, batch, num_items_in_batch=whole).item() for batch in batches)
    top = bottom = 0.0
    for row in rows:  # the reference: each row alone, token by token
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
        for at in range(2, len(row["input_ids"])):
            w = weight if row["reasoning"][at] else 1.0
            top -= w * log_softmax(logits[at - 1], -1)[row["input_ids"][at]].item()
            bottom += w
    assert found == pytest.approx(top / bottom, abs=1e-5)


def divergence(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Generalized Jensen-Shannon divergence of two logits (Agarwal et al. 2023, equation 1): M = β·T + (1 - β)·S,
    β·KL(T‖M) + (1 - β)·KL(S‖M); at its ends forward and reverse KL."""
    s, t = student.softmax(-1), teacher.softmax(-1)
    if beta in (0.0, 1.0):
        p, q = (t, s) if beta == 0.0 else (s, t)
        return (p * (p / q).log()).sum(-1)
    m = beta * t + (1 - beta) * s
    return (beta * t * (t / m).log() + (1 - beta) * s * (s / m).log()).sum(-1)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_the_divergence_is_the_papers(beta: float, tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    student, teacher = tiny(), tiny(hidden_act="relu").requires_grad_(False)
    with torch.no_grad():
        for weights in teacher.parameters():
            weights.mul_(3)
    trainer = OnPolicyTrainer(
        model=student,
        teacher_model=teacher,
        args=DistillationConfig(output_dir=str(tmp_path), **QUIET, beta=beta, temperature=0.7, top_k=0),
        train_dataset=Dataset.from_dict({"prompt": ["one "]}),
        processing_class=tokenizer,
        spec=OnPolicySpec(model="m", teacher="t", dataset="d"),
        report=None,
    )
    prompts, answers = torch.tensor([[0, 3, 4], [5, 6, 7]]), torch.tensor([[8, 9, 2, 4], [11, 2, 0, 0]])
    masks = torch.tensor([[0, 1, 1], [1, 1, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    batch = {"prompt_ids": prompts, "prompt_mask": masks[0], "completion_ids": answers, "completion_mask": masks[1]}
    student.train()
    loss = trainer.compute_loss(student, {**batch, "num_items_in_batch": torch.tensor(6)})
    both = {"input_ids": torch.cat([prompts, answers], 1), "attention_mask": torch.cat(masks, 1)}
    told = [m(**both).logits[:, 2:-1] / 0.7 for m in (student, teacher)]
    expected = (divergence(*told, beta) * masks[1]).sum() / 6
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    (ours,) = torch.autograd.grad(loss, student.get_output_embeddings().weight, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected, student.get_output_embeddings().weight)
    assert torch.allclose(ours, theirs, atol=1e-5)

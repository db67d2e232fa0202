"""Which tokens carry loss, how conversations are written, and that packed rows do not see each other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from platform_core.algorithms.sft import SFTSpec
from platform_core.algorithms.tokenizer import TokenizerSpec
from platform_core.errors import Problem
from platform_core.models.chat_template import READY
from runners.engines.hf import conversation
from runners.engines.hf.conversation import IGNORED, spoken, training_template, use_template
from runners.engines.hf.data import supervised
from runners.engines.hf.packing import Collator, need_apart, pack
from runners.engines.hf.tokenizer import EOS, PAD, learn

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
TURNS = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "one and two"},
    {"role": "assistant", "content": "<think>\nadd\n</think>\n\nthree"},
    {"role": "user", "content": "and four"},
    {"role": "assistant", "content": "<think>\nmore\n</think>\n\nseven"},
]


def words(tokens: list[str]) -> PreTrainedTokenizerFast:
    rng = random.Random(0)
    alphabet = ["one ", "two ", "three", "user", "assistant", "\n", "<think>", "7", "System: ", "and"]
    texts = ["".join(rng.choices(alphabet, k=8)) for _ in range(200)]
    learned = learn(texts, TokenizerSpec(dataset="d", vocab_size=300, split_digits=False))
    made = PreTrainedTokenizerFast(tokenizer_object=learned, pad_token=PAD, eos_token=EOS, padding_side="left")
    made.add_special_tokens({"additional_special_tokens": tokens})
    return made


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    return words(["<|im_start|>", "<|im_end|>"])


def said(tokenizer: PreTrainedTokenizerFast, **more: Any) -> str:
    found = spoken(TURNS, tokenizer, **more)
    assert found.lost == 0
    return tokenizer.decode([label for label in found.labels if label != IGNORED])


def tiny(family: str = "llama", **more: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = AutoConfig.for_model(family, vocab_size=50, intermediate_size=32, pad_token_id=0, **sizes, **more)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3", "llama3", "qwen3_training"])
def test_answers_in_templates_of_well_known_models(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    if name == "llama3":
        tokenizer = words(["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"])
        tokenizer.bos_token = EOS
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text()
    found = said(tokenizer, template=training_template(tokenizer))
    _, _, last = found.partition("three")
    assert "seven" in last
    assert "<|im_end|>" in last or "<|eot_id|>" in last
    assert "user" not in found
    assert "be brief" not in found
    assert "more" in last, "the thinking of the last answer is learned"
    alone = said(tokenizer, template=training_template(tokenizer), last_only=True)
    assert "seven" in alone
    assert "three" not in alone


def test_tags_of_a_template_equal_trls_masks(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = (TEMPLATES / "qwen2_5_training.jinja").read_text()
    theirs = tokenizer.apply_chat_template(TURNS, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    found = spoken(TURNS, tokenizer)
    assert found.ids == theirs["input_ids"]
    assert [label != IGNORED for label in found.labels] == [bool(m) for m in theirs["assistant_masks"]]


@pytest.mark.parametrize("name", sorted(READY))
@pytest.mark.parametrize("known", [True, False])
def test_ready_templates_end_each_answer_with_the_token_that_stops(name: str, known: bool) -> None:
    tokenizer = words(["<|im_end|>", "<|eot_id|>"] if known else [])
    use_template(tokenizer, SFTSpec(model="m", dataset="d", chat_template=name))
    end = tokenizer.eos_token
    assert end == ({"chatml": "<|im_end|>", "llama3": "<|eot_id|>"}.get(name, EOS) if known else EOS)
    found = said(tokenizer)
    assert [part.strip() for part in found.split(end)] == [TURNS[2]["content"], TURNS[4]["content"], ""]
    asked = tokenizer.apply_chat_template(TURNS[:2], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(TURNS[:3], tokenize=False)
    assert whole.startswith(asked)


def test_an_answer_that_the_template_hides_is_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{% if loop.last or m.role != 'assistant' %}{{ m.content }}"
        "{% else %}…{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    assert training_template(tokenizer) is None
    assert spoken(TURNS, tokenizer).lost == 1
    rows = supervised([{"messages": TURNS}] * 2, tokenizer, 200, True, "file")
    assert rows.lost == 2


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ messages }}{% endfor %}{% endfor %}",
        "{{ messages[0].content * 10 ** 12 }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages[0].nothing.more }}",
    ],
)
def test_hostile_and_broken_templates_end_in_a_sentence(
    template: str, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "RENDER_SECONDS", 0.3)
    tokenizer.chat_template = template
    with pytest.raises(Problem, match="chat template"):
        spoken(TURNS, tokenizer)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (None, "Write the template"),
        ("{% for %}{{ messages }}", "Line 1 of the chat template"),
        ("{{ 'always the same' }}", "never mentions"),
        ("{{ messages " + "(" * 5000, "nested too deeply"),
    ],
)
def test_a_template_that_can_not_be_is_said_before_a_job(template: str | None, sentence: str) -> None:
    from platform_core.jobs.messages import validate

    values = {"model": "m", "dataset": "d", "chat_template": "text", "chat_template_text": template}
    _, findings = validate(SFTSpec, values)
    assert [f.fields for f in findings] == [("chat_template_text",)]
    assert sentence in str(findings[0].text)


def rows(count: int, seed: int = 0) -> Dataset:
    rng = random.Random(seed)
    ids = [[rng.randrange(1, 50) for _ in range(rng.randint(4, 14))] for _ in range(count)]
    return Dataset.from_dict({"input_ids": ids, "labels": [[IGNORED] * 2 + row[2:] for row in ids]})


def summed(model: Any, batch: dict[str, torch.Tensor]) -> tuple[float, int]:
    """Plain cross-entropy over the labels of a batch, and how many there are."""
    labels = batch.pop("labels")
    logits = model(**batch, use_cache=False).logits[:, :-1]
    loss = cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), reduction="sum")
    return loss.item(), int((labels[:, 1:] != IGNORED).sum())


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3_text"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_batch_has_the_loss_of_its_rows(family: str, attention: str) -> None:
    model = tiny(family, attn_implementation=attention)
    alone = rows(12)
    packed = pack(alone, 32, "best_fit")
    assert len(packed) < len(alone)
    loss, count = summed(model, Collator(0)(list(packed)))
    one_by_one = [summed(model, {k: torch.tensor([row[k]]) for k in ("input_ids", "labels")}) for row in alone]
    assert count == sum(n for _, n in one_by_one)
    assert loss / count == pytest.approx(sum(value for value, _ in one_by_one) / count, abs=1e-5)
    need_apart(model, packed)


def test_rows_that_see_each_other_are_refused() -> None:
    model = tiny("llama")
    forward = model.forward
    model.forward = lambda **inputs: forward(**{k: v for k, v in inputs.items() if k != "position_ids"})
    with pytest.raises(Problem, match="see each other"):
        need_apart(model, pack(rows(12), 32, "best_fit"))


def test_a_running_text_loses_no_token_and_no_row_without_loss_is_kept() -> None:
    data = rows(9)
    data = Dataset.from_list([*data, {"input_ids": [7] * 40, "labels": [IGNORED] * 40}])
    packed = pack(data, 16, "wrapped")
    assert all(any(label != IGNORED for label in row[1:]) for row in packed["labels"])
    trained = [label for row in packed["labels"] for label in row if label != IGNORED]
    assert trained == [label for row in data["labels"] for label in row if label != IGNORED]

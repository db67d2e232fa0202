"""Batched generation from a causal language model: greedy or sampled, left-padded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from runners.engines.hf.model import context_length


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    temperature: float | None,
    batch_size: int,
) -> Iterator[tuple[list[int], list[str]]]:
    """Answer all prompts, those of like length together: yields batches of (places in `prompts`, completions).

    Answers end where the model's context ends. `temperature` None is greedy; else tokens are drawn from the whole
    distribution by torch's generator: seed it.
    """
    how = {"max_new_tokens": max_new_tokens, "temperature": temperature}
    for places in batches(prompts, batch_size):
        yield places, answer(model, tokenizer, [prompts[at] for at in places], **how)[0]


def batches(prompts: Sequence[str], batch_size: int) -> list[list[int]]:
    """Places of the prompts in batches of like length: always the same ones for the same prompts."""
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    temperature: float | None,
) -> tuple[list[str], list[bool]]:
    """Answers to one batch of prompts, and whether each came to its end before it was cut."""
    how = (
        {"do_sample": False}
        if temperature is None
        else {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    )
    model.eval()
    batch = tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="left").to(model.device)
    room = min(max_new_tokens, (context_length(model) or math.inf) - batch["input_ids"].shape[1])
    if room < 1:  # the prompt alone fills the context: there is no answer
        return [""] * len(prompts), [False] * len(prompts)
    ends = ends_of(model, tokenizer)
    with torch.inference_mode():
        out = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=int(room),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=ends,
            **how,
        )[:, batch["input_ids"].shape[1] :]
    ended = torch.isin(out, torch.tensor(ends, device=out.device)).any(dim=1).tolist()
    return tokenizer.batch_decode(out, skip_special_tokens=True), ended


def stop_at_end(model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let the model's answers end at the tokenizer's end-of-text token, too."""
    ends = ends_of(model, tokenizer)
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]


def ends_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids that end an answer: those of the model, and the tokenizer's end-of-text token."""
    known = model.generation_config.eos_token_id
    ends = [] if known is None else [known] if isinstance(known, int) else list(known)
    return list(dict.fromkeys([*ends, tokenizer.eos_token_id]))

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
    how = (
        {"do_sample": False}
        if temperature is None
        else {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    )
    model.eval()
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        batch = tokenizer([prompts[at] for at in places], return_tensors="pt", padding=True, padding_side="left")
        batch = batch.to(model.device)
        room = min(max_new_tokens, (context_length(model) or math.inf) - batch["input_ids"].shape[1])
        if room < 1:  # the prompt alone fills the context: there is no answer
            yield places, [""] * len(places)
            continue
        with torch.inference_mode():
            out = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=int(room),
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=ends_of(model, tokenizer),
                **how,
            )
        completions = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        yield places, completions


def stop_at_end(model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let the model's answers end at the tokenizer's end-of-text token, too."""
    ends = ends_of(model, tokenizer)
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]


def ends_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids that end an answer: those of the model, and the tokenizer's end-of-text token."""
    known = model.generation_config.eos_token_id
    ends = [] if known is None else [known] if isinstance(known, int) else list(known)
    return list(dict.fromkeys([*ends, tokenizer.eos_token_id]))

"""A reward model as a function of prompts and completions: one score for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from platform_core.errors import Problem
from platform_core.rewards.resources import ModelScorer
from runners.engines.hf.model import context_length, load_tokenizer
from runners.engines.hf.trainer import pick_device

BATCH = 16


def load_scorer(folder: Path, device: str = "auto") -> ModelScorer:
    """Load a model with one score at its end; it reads texts with its own tokenizer, whatever the policy's is.

    Raises Problem for a model without such an end.
    """
    tokenizer = load_tokenizer(folder)
    try:
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError) as error:
        raise Problem(
            "The reward model {name} can't be loaded: {why}.", name=folder.name, why=str(error)[:200]
        ) from error
    kinds = model.config.architectures or []
    if model.config.num_labels != 1 or not any("SequenceClassification" in name for name in kinds):
        raise Problem(
            "{name} is no reward model: it must end in one score. Train one with the kind of job “Reward model”.",
            name=folder.name,
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    model.to(pick_device(device)).eval()
    most = context_length(model) or 4096

    def score(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
        texts = [p + c for p, c in zip(prompts, completions, strict=True)]
        values: list[float] = []
        with torch.inference_mode():
            for at in range(0, len(texts), BATCH):
                # the end of an answer decides, so that what is too long loses its beginning
                tokenizer.truncation_side = "left"
                given = tokenizer(
                    texts[at : at + BATCH], return_tensors="pt", padding=True, truncation=True, max_length=most
                )
                given = {name: t.to(model.device) for name, t in given.items() if name != "token_type_ids"}
                values += model(**given).logits[:, 0].float().tolist()
        return values

    return score

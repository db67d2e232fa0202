"""Reward models: learned from pairs (Bradley-Terry) on TRL's RewardTrainer, and used to score the answers of others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from platform_core.algorithms.reward_model import RewardModelSpec
from platform_core.errors import Problem
from platform_core.models.kinds import is_reward_model
from runners.engines.hf.model import SCORES, context_length, load_model, load_start, load_tokenizer, save_model
from runners.engines.hf.preference import Preferences, Row, Side, pairs, prepared, tokenized
from runners.engines.hf.trainer import pick_device, prepare, run_training, training_arguments
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's RewardModelSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, RewardModelSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer, SCORES)

    def make(rows: list[Row], max_length: int, file: str) -> Preferences:
        return pairs(rows, tokenizer, max_length, file, whole=True)

    data, measured = prepared(run, report, "reward_model", make, context_length(model))
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(
            **training_arguments(run, spec),
            center_rewards_coefficient=spec.center_rewards or None,
            max_length=None,
        ),
        train_dataset=whole(data),
        eval_dataset=whole(measured) if measured else None,
        processing_class=tokenizer,
        peft_config=adapter,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run, SCORES)
    return result


def whole(data: Dataset) -> Dataset:
    """Each answer together with its prompt, as the model reads it."""
    found: dict[str, list[list[int]]] = {
        name: [prompt + answer for prompt, answer in zip(data["prompt_ids"], data[name], strict=True)]
        for name in ("chosen_ids", "rejected_ids")
    }
    return Dataset.from_dict(found)


def score(
    model_folder: Path, prompts: Sequence[Side], completions: Sequence[Side], batch_size: int = 32
) -> list[float]:
    """The reward of each completion to its prompt: texts, or messages for a model with a chat template.

    Whoever wrote the answers, they are tokenized anew by the reward model's own tokenizer and end with its end-of-text
    token, as in its training. Of what is longer than its context the end is read. Raises Problem for a folder that is
    no reward model. The model stays loaded, on a GPU where there is one.
    """
    model, tokenizer = loaded(Path(model_folder).resolve())
    context = context_length(model)
    texts = tokenized(list(prompts), list(completions), tokenizer, Path(model_folder).name)
    rows = [(prompt + answer)[-context if context else 0 :] for prompt, answer in texts]
    order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
    scores = [0.0] * len(rows)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        batch = tokenizer.pad({"input_ids": [rows[at] for at in places]}, padding_side="right", return_tensors="pt").to(
            model.device
        )
        with torch.inference_mode():
            found = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
        for at, value in zip(places, found.float().tolist(), strict=True):
            scores[at] = value
    return scores


def reads_like(model_folder: Path, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a reward model splits texts as `tokenizer` does; where not, its scores come from texts tokenized anew."""
    own = load_tokenizer(model_folder)
    return bool(own.get_vocab() == tokenizer.get_vocab() and own.eos_token == tokenizer.eos_token)


@lru_cache(maxsize=2)
def loaded(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A reward model, ready to score, and its tokenizer."""
    if not is_reward_model(folder):
        raise Problem(
            "{folder} is no reward model: train one from preference pairs (kind “Reward model”), or choose another.",
            fields=("reward_model",),
            folder=str(folder),
        )
    tokenizer = load_tokenizer(folder)
    model: Any = load_model(folder, tokenizer, task=SCORES)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model.to(pick_device()).eval(), tokenizer

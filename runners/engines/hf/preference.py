"""Preference data as token ids: pairs of a chosen and a rejected answer, rated answers; what does not fit is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig

from platform_core.algorithms.dpo import DPOSpec
from platform_core.algorithms.orpo import ORPOSpec
from platform_core.datasets.samples import turns
from platform_core.errors import Problem
from runners.engines.hf.data import common_prefix, encode, load_rows, need_chat_template
from runners.engines.hf.model import context_length, load_model, load_tokenizer, save_model
from runners.engines.hf.preference_trainer import PairLoss, PairTrainer
from runners.engines.hf.trainer import prepare, run_training, training_arguments
from runners.job import Run
from runners.report import Report

Side = str | list[dict[str, Any]]


@dataclass
class Preferences:
    """Tokenized rows by column; `cut` counts rows with a shortened answer, `dropped` those that do not fit.

    `alike` counts pairs whose answers are the same as far as the model sees them.
    """

    columns: dict[str, list[Any]] = field(default_factory=dict)
    cut: int = 0
    dropped: int = 0
    alike: int = 0

    def add(self, **values: Any) -> None:
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)


def pairs(
    rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int, file: str, *, whole: bool = False
) -> Preferences:
    """Rows with `prompt_ids`, `chosen_ids`, `rejected_ids`, of at most `max_length` tokens together.

    Longer answers are cut at their end; with `whole`, for scores that must see an answer's end, such pairs are dropped.
    """
    found = Preferences()
    prompts, chosen, rejected = ([row.get(part, "") for row in rows] for part in ("prompt", "chosen", "rejected"))
    sides = zip(
        tokenized(prompts, chosen, tokenizer, file), tokenized(prompts, rejected, tokenizer, file), strict=True
    )
    for (prompt, good), (also_prompt, bad) in sides:
        start = min(len(prompt), len(also_prompt), common_prefix(prompt, also_prompt))
        good, bad, prompt = prompt[start:] + good, also_prompt[start:] + bad, prompt[:start]
        room, longest = max_length - len(prompt), max(len(good), len(bad))
        if room < 1 or (whole and longest > room):
            found.dropped += 1
        elif good[:room] == bad[:room]:
            found.alike += 1
        else:
            found.cut += longest > room
            found.add(prompt_ids=prompt, chosen_ids=good[:room], rejected_ids=bad[:room])
    return found


def rated(rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int, file: str) -> Preferences:
    """Rows with `prompt_ids`, `completion_ids` and `label`, of at most `max_length` tokens; longer answers are cut."""
    found = Preferences()
    prompts, answers = [row["prompt"] for row in rows], [row["completion"] for row in rows]
    for row, (prompt, answer) in zip(rows, tokenized(prompts, answers, tokenizer, file), strict=True):
        room = max_length - len(prompt)
        if room < 1:
            found.dropped += 1
        else:
            found.cut += len(answer) > room
            found.add(prompt_ids=prompt, completion_ids=answer[:room], label=row["label"])
    return found


def tokenized(
    prompts: list[Side], answers: list[Side], tokenizer: PreTrainedTokenizerBase, file: str
) -> list[tuple[list[int], list[int]]]:
    """Ids of each prompt and of its answer, as the model reads them one after the other.

    An answer as text ends with the end-of-text token; messages go through the chat template. Raises Problem where
    there is none.
    """
    end = tokenizer.eos_token or ""
    before, after = [], []
    for prompt, answer in zip(prompts, answers, strict=True):
        if isinstance(prompt, str) and isinstance(answer, str):
            before.append(prompt)
            after.append(prompt + (answer if answer.endswith(end) else answer + end))
            continue
        need_chat_template(tokenizer, file)
        asked = turns(prompt, "user") if prompt else []
        said = turns(answer, "assistant")
        before.append(rendered(asked, tokenizer, add_generation_prompt=True))
        after.append(rendered(asked + said, tokenizer))
    found = []
    for asked_ids, all_ids in zip(ids(before, tokenizer), ids(after, tokenizer), strict=True):
        at = common_prefix(asked_ids, all_ids)
        found.append((all_ids[:at], all_ids[at:]))
    return found


def rendered(messages: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, **more: Any) -> list[int]:
    """Ids of a conversation through the chat template; none for none."""
    if not messages:
        return []
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **more)["input_ids"])


def ids(items: list[str | list[int]], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Texts as ids, all at once; what is ids already stays."""
    texts = iter(encode([item for item in items if isinstance(item, str)], tokenizer))
    return [next(texts) if isinstance(item, str) else item for item in items]


def usable(found: Preferences, rows: int, max_length: int, file: str, report: Report) -> Dataset:
    """The rows that fit, as a dataset; what was cut or left out becomes an event; Problem when none fits."""
    for count, kind, said in (
        (found.cut, "cut_rows", f"answers were cut to {max_length} tokens"),
        (found.dropped, "dropped_rows", f"rows do not fit into {max_length} tokens and were left out"),
        (found.alike, "alike_rows", f"pairs are the same in both answers within {max_length} tokens and were left out"),
    ):
        if count:
            report.event(kind, f"{count} {said}", level="warning", count=count, of=rows)
    if not found.columns:
        raise Problem(
            "No row of {file} fits into {max_length} tokens with its answer: "
            "raise the sequence length or shorten the prompts.",
            fields=("max_length", "dataset"),
            file=file,
            max_length=max_length,
        )
    return Dataset.from_dict(found.columns)


def train_on_pairs(run: Run, report: Report, spec: DPOSpec | ORPOSpec, loss: PairLoss) -> dict[str, object]:
    """Train on pairs with a loss and leave the model in `run.output`; returns the last numbers."""
    prepare(run)
    tokenizer, file = load_tokenizer(run.paths["model"]), run.paths["dataset"].name
    rows = load_rows(run.paths["dataset"], "dpo", report)
    report.phase("loading the model")
    model = load_model(run.paths["model"], tokenizer)
    max_length = min(spec.max_length, context_length(model) or spec.max_length)
    report.phase("tokenizing")
    data = usable(pairs(rows, tokenizer, max_length, file), len(rows), max_length, file, report)
    arguments = DPOConfig(**training_arguments(run, spec), max_length=None)
    trainer = PairTrainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer, loss=loss)
    result = run_training(trainer, run, report)
    save_model(model, tokenizer, run)
    return result

"""Preference data as token ids: pairs of a chosen and a rejected answer, rated answers; what does not fit is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig

from platform_core.algorithms.adapter import AdapterSpec
from platform_core.algorithms.dpo import DPOSpec
from platform_core.algorithms.orpo import ORPOSpec
from platform_core.datasets.samples import turns
from platform_core.errors import Problem
from runners.engines.hf.data import common_prefix, encode, need_chat_template
from runners.engines.hf.model import context_length, load_model, load_start, load_tokenizer, save_model
from runners.engines.hf.preference_trainer import WITHOUT_REFERENCE, PairLoss, PairTrainer
from runners.engines.hf.trainer import prepare, run_training, training_arguments
from runners.engines.hf.validation import training_rows
from runners.job import Run
from runners.report import Report

Row = dict[str, Any]
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
    rows: list[Row], tokenizer: PreTrainedTokenizerBase, max_length: int, file: str, *, whole: bool = False
) -> Preferences:
    """Rows with `prompt_ids`, `chosen_ids`, `rejected_ids`, of at most `max_length` tokens together.

    Longer answers are cut at their end; with `whole`, for scores that must see an answer's end, such pairs are dropped.
    """
    found = Preferences()
    prompts, chosen, rejected = ([row.get(part, "") for row in rows] for part in ("prompt", "chosen", "rejected"))
    sides = zip(tokenized(prompts, chosen, tokenizer, file), tokenized(prompts, rejected, tokenizer, file), strict=True)
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


def rated(rows: list[Row], tokenizer: PreTrainedTokenizerBase, max_length: int, file: str) -> Preferences:
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


def fitting(found: Preferences, rows: int, max_length: int, file: str, report: Report, what: str = "rows") -> Dataset:
    """The rows that fit, as a dataset; what was cut or left out becomes an event; Problem when none fits."""
    for count, kind, said in (
        (found.cut, "cut_rows", f"have an answer that was cut to {max_length} tokens with its prompt"),
        (found.dropped, "dropped_rows", f"do not fit into {max_length} tokens and were left out"),
        (found.alike, "alike_rows", f"have the same two answers within {max_length} tokens and were left out"),
    ):
        if count:
            report.event(kind, f"{count} {what} {said}", level="warning", count=count, of=rows)
    if not found.columns:
        raise Problem(
            "No row of {file} fits into {max_length} tokens with its answer: "
            "raise the sequence length or shorten the prompts.",
            fields=("max_length", "dataset"),
            file=file,
            max_length=max_length,
        )
    return Dataset.from_dict(found.columns)


def prepared(
    run: Run, report: Report, family: str, make: Callable[[list[Row], int, str], Preferences], context: int | None
) -> tuple[Dataset, Dataset | None]:
    """The job's rows made ready by `make(rows, max_length, file)`: those to train on, those to measure on."""
    rows, measured = training_rows(run, family, report)
    report.phase("tokenizing")
    asked: int = run.spec.max_length  # type: ignore[attr-defined]
    max_length, file = min(asked, context or asked), run.paths["dataset"].name
    data = fitting(make(rows, max_length, file), len(rows), max_length, file, report)
    if not measured:
        return data, None
    file = run.paths.get("validation_dataset", run.paths["dataset"]).name
    made = make(measured, max_length, file)
    return data, fitting(made, len(measured), max_length, file, report, "validation rows")


def reference_model(run: Run, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel | None:
    """The start model once more, to stay as it is; None where an adapter is trained, which can be taken off."""
    assert isinstance(run.spec, AdapterSpec)
    return load_model(run.paths["model"], tokenizer) if run.spec.tuning == "full" else None


def train_on_pairs(run: Run, report: Report, spec: DPOSpec | ORPOSpec, loss: PairLoss) -> dict[str, object]:
    """Train on pairs with a loss and leave the model in `run.output`; returns the last numbers."""
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer)

    def make(rows: list[Row], max_length: int, file: str) -> Preferences:
        return pairs(rows, tokenizer, max_length, file)

    data, measured = prepared(run, report, "dpo", make, context_length(model))
    trainer = PairTrainer(
        model=model,
        ref_model=None if loss.name in WITHOUT_REFERENCE else reference_model(run, tokenizer),
        args=DPOConfig(**training_arguments(run, spec), max_length=None),
        train_dataset=data,
        eval_dataset=measured,
        processing_class=tokenizer,
        peft_config=adapter,
        loss=loss,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result

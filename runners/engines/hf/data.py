"""Rows of a dataset as token ids: packed texts, prompts with answers, conversations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from platform_core.algorithms.supervised import SupervisedSpec
from platform_core.datasets.needs import training_rows
from platform_core.datasets.samples import Columns
from platform_core.errors import Problem
from runners.engines.hf.conversation import IGNORED, common_prefix, render, spoken, training_template
from runners.engines.hf.reasoning import reasoning_marks, weighs
from runners.job import Run
from runners.report import Report

CHUNK = 10_000
SCORED = ("grpo", "evaluation")
"""Families whose rows a reward looks at."""


def load_rows(
    path: Path, to: str, report: Report, limit: int | None = None, columns: Columns | None = None
) -> list[dict[str, Any]]:
    """All usable rows of a dataset for a family of algorithms; skipped ones become an event; Problem when none is.

    Rows for a reward also have their `number` in the file and all their fields as `row`.
    """
    report.phase("reading the data")
    source = training_rows(path, to=to, limit=limit, columns=columns)
    rows = [{**row, "number": source.number, "row": source.value} if to in SCORED else row for row in source]
    if source.skipped:
        report.event(
            "skipped_rows",
            f"{source.skipped} faulty rows of {path.name} were left out",
            level="warning",
            count=source.skipped,
            of=len(rows) + source.skipped,
        )
    if not rows:
        raise Problem("{file} has no usable row: check the dataset.", fields=("dataset",), file=path.name)
    return rows


@dataclass
class Examples:
    """Ids and labels, row by row; `dropped` counts rows that lost all trained tokens, `cut` the shortened ones.

    `lost` counts answers of conversations that were not found again in what the chat template wrote. `reasoning` marks
    tokens between tags, where that was asked for.
    """

    input_ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    reasoning: list[list[float]] = field(default_factory=list)
    dropped: int = 0
    cut: int = 0
    lost: int = 0

    def add(self, ids: list[int], labels: list[int], max_length: int, marks: list[float] | None = None) -> None:
        self.cut += len(ids) > max_length
        ids, labels = ids[:max_length], labels[:max_length]
        if all(label == IGNORED for label in labels[1:]):
            self.dropped += 1
            return
        self.input_ids.append(ids)
        self.labels.append(labels)
        if marks is not None:
            self.reasoning.append(marks[:max_length])


def packed(texts: list[str], tokenizer: PreTrainedTokenizerBase, length: int) -> Dataset:
    """All texts in one stream, an end-of-text token after each, cut into rows of `length` tokens.

    A shorter rest is left out unless it is all there is.
    """
    end = tokenizer.eos_token or ""
    parts = [
        np.asarray(ids, "i4")
        for chunk in _chunks(texts)
        for ids in encode([t if t.endswith(end) else t + end for t in chunk], tokenizer)
    ]
    stream = np.concatenate(parts)
    rows = len(stream) // length
    table = stream[: rows * length].reshape(rows, length) if rows else stream[None, :]
    return Dataset.from_dict({"input_ids": list(table), "labels": list(table)})


def supervised(
    rows: list[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    completion_only: bool,
    file: str,
    *,
    last_only: bool = False,
    tags: tuple[str, str] | None = None,
) -> Examples:
    """Prompts with answers, or conversations, as ids and labels: what TRL's SFTTrainer prepares, about 10 times faster.

    Loss falls on answers only (of a conversation on the last one with `last_only`), or on all tokens. What stands
    between `tags` is marked. Raises Problem for conversations without a chat template.
    """
    examples = Examples()
    if "messages" in rows[0]:
        need_chat_template(tokenizer, file)
        template = training_template(tokenizer)
        for row in rows:
            said = spoken(row["messages"], tokenizer, row.get("tools"), last_only=last_only, template=template)
            examples.lost += said.lost
            labels, marks = said.labels if completion_only else said.ids, None
            if tags:
                text = render(row["messages"], tokenizer, row.get("tools"), template, tokenize=False, return_dict=False)
                marks = reasoning_marks(text, said.ids, labels, tokenizer, tags, chat=True)
            examples.add(said.ids, labels, max_length, marks)
        return examples
    end = tokenizer.eos_token or ""
    for chunk in _chunks(rows):
        prompts = encode([r["prompt"] for r in chunk], tokenizer)
        answers = [r["completion"] if r["completion"].endswith(end) else r["completion"] + end for r in chunk]
        wholes = encode([r["prompt"] + a for r, a in zip(chunk, answers, strict=True)], tokenizer)
        for row, said_last, prompt, whole in zip(chunk, answers, prompts, wholes, strict=True):
            start = common_prefix(prompt, whole)
            labels = [IGNORED] * start + whole[start:] if completion_only else whole
            marks = reasoning_marks(row["prompt"] + said_last, whole, labels, tokenizer, tags) if tags else None
            examples.add(whole, labels, max_length, marks)
    return examples


def learned(
    rows: list[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    run: Run,
    report: Report,
    what: str = "rows",
) -> Dataset:
    """Rows as ids and labels; what was cut or dropped is told; raises Problem when nothing is left."""
    spec, file = run.spec, run.paths["dataset"].name
    assert isinstance(spec, SupervisedSpec)
    only_last, apart = spec.completion_only_loss and spec.last_answer_only, weighs(spec)
    tags = apart.tags if apart else None
    examples = supervised(rows, tokenizer, max_length, spec.completion_only_loss, file, last_only=only_last, tags=tags)
    if tags and not any(map(any, examples.reasoning)):
        said = f"no row has reasoning between {tags[0]} and {tags[1]}: all tokens weigh the same"
        report.event("no_reasoning", said, level="warning")
    tell_losses(examples, max_length, len(rows), report, what)
    if not examples.input_ids:
        raise Problem(
            "No row of {file} has an answer within {max_length} tokens: "
            "raise the sequence length or shorten the prompts.",
            fields=("max_length", "dataset"),
            file=file,
            max_length=max_length,
        )
    columns: dict[str, Any] = {"input_ids": examples.input_ids, "labels": examples.labels}
    return Dataset.from_dict(columns | ({"reasoning": examples.reasoning} if tags else {}))


def tell_losses(examples: Examples, max_length: int, rows: int, report: Report, what: str) -> None:
    """Say how many rows were cut, dropped, or have answers that the chat template hides."""
    if examples.cut:
        said = f"{examples.cut} {what} were cut to {max_length} tokens"
        report.event("cut_rows", said, level="warning", count=examples.cut, of=rows)
    if examples.dropped:
        said = f"{examples.dropped} {what} have no answer within {max_length} tokens and were left out"
        report.event("dropped_rows", said, level="warning", count=examples.dropped, of=rows)
    if examples.lost:
        said = f"{examples.lost} answers are not found whole in what the chat template writes: less of them is learned"
        report.event("lost_answers", said, level="warning", count=examples.lost, of=rows)


def prompt_text(prompt: str | list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, file: str) -> str:
    """A prompt as the text that the model reads; messages go through the chat template."""
    if isinstance(prompt, str):
        return prompt
    need_chat_template(tokenizer, file)
    return str(render(prompt, tokenizer, add_generation_prompt=True, tokenize=False, return_dict=False))


def need_chat_template(tokenizer: PreTrainedTokenizerBase, file: str) -> None:
    """Raise Problem when the tokenizer can't render a conversation."""
    if not tokenizer.chat_template:
        raise Problem(
            "{file} holds conversations, but the model's tokenizer has no chat template: choose a chat model, "
            "or a dataset with prompt and completion.",
            fields=("dataset", "model"),
            file=file,
        )


def encode(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Ids of each text, uncut and unpadded: what the tokenizer's call gives, in half the time."""
    if not tokenizer.is_fast:
        return [list(ids) for ids in tokenizer(texts)["input_ids"]]
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return [encoding.ids for encoding in backend.encode_batch_fast(texts)]


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    source = iter(items)
    while chunk := list(islice(source, CHUNK)):
        yield chunk

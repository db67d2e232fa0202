"""Supervised fine-tuning on prompts with answers and on conversations."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from platform_core.algorithms.sft import SFTSpec
from platform_core.errors import Problem
from runners.engines.hf.data import supervised
from runners.engines.hf.language_model import language_model_trainer
from runners.engines.hf.model import context_length, load_start, load_tokenizer, save_model
from runners.engines.hf.trainer import prepare, run_training
from runners.engines.hf.validation import training_rows
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's SFTSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, SFTSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    rows, measured = training_rows(run, "sft", report)
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer)
    max_length = min(spec.max_length, context_length(model) or spec.max_length)
    report.phase("tokenizing")
    data = learned(rows, tokenizer, max_length, run, report)
    trainer = language_model_trainer(
        model,
        tokenizer,
        data,
        run,
        spec,
        max_length,
        adapter=adapter,
        measured=learned(measured, tokenizer, max_length, run, report, "validation rows") if measured else None,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result


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
    assert isinstance(spec, SFTSpec)
    examples = supervised(rows, tokenizer, max_length, spec.completion_only_loss, file)
    if examples.cut:
        said = f"{examples.cut} {what} were cut to {max_length} tokens"
        report.event("cut_rows", said, level="warning", count=examples.cut, of=len(rows))
    if examples.dropped:
        said = f"{examples.dropped} {what} have no answer within {max_length} tokens and were left out"
        report.event("dropped_rows", said, level="warning", count=examples.dropped, of=len(rows))
    if not examples.input_ids:
        raise Problem(
            "No row of {file} has an answer within {max_length} tokens: "
            "raise the sequence length or shorten the prompts.",
            fields=("max_length", "dataset"),
            file=file,
            max_length=max_length,
        )
    return Dataset.from_dict({"input_ids": examples.input_ids, "labels": examples.labels})

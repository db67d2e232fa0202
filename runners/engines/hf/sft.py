"""Supervised fine-tuning on prompts with answers and on conversations."""

from __future__ import annotations

from datasets import Dataset

from platform_core.algorithms.sft import SFTSpec
from platform_core.errors import Problem
from runners.engines.hf.data import load_rows, supervised
from runners.engines.hf.language_model import language_model_trainer
from runners.engines.hf.model import context_length, load_model, load_tokenizer, save_model
from runners.engines.hf.trainer import prepare, run_training
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's SFTSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, SFTSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    rows = load_rows(run.paths["dataset"], "sft", report)
    report.phase("loading the model")
    model = load_model(run.paths["model"], tokenizer)
    max_length = min(spec.max_length, context_length(model) or spec.max_length)
    report.phase("tokenizing")
    examples = supervised(rows, tokenizer, max_length, spec.completion_only_loss, run.paths["dataset"].name)
    if examples.cut:
        report.event(
            "cut_rows",
            f"{examples.cut} rows were cut to {max_length} tokens",
            level="warning",
            count=examples.cut,
            of=len(rows),
        )
    if examples.dropped:
        report.event(
            "dropped_rows",
            f"{examples.dropped} rows have no answer within {max_length} tokens and were left out",
            level="warning",
            count=examples.dropped,
            of=len(rows),
        )
    if not examples.input_ids:
        raise Problem(
            "No row of {file} has an answer within {max_length} tokens: "
            "raise the sequence length or shorten the prompts.",
            fields=("max_length", "dataset"),
            file=run.paths["dataset"].name,
            max_length=max_length,
        )
    data = Dataset.from_dict({"input_ids": examples.input_ids, "labels": examples.labels})
    trainer = language_model_trainer(model, tokenizer, data, run, spec, max_length)
    result = run_training(trainer, run, report)
    save_model(model, tokenizer, run)
    return result

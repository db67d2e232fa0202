"""Pretraining: next-token prediction on packed texts, from random weights or further from a model."""

from __future__ import annotations

from platform_core.algorithms.pretrain import PretrainSpec
from runners.engines.hf.data import packed
from runners.engines.hf.language_model import language_model_trainer
from runners.engines.hf.model import build_model, context_length, load_start, load_tokenizer, save_model
from runners.engines.hf.trainer import prepare, run_training
from runners.engines.hf.validation import training_rows
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's PretrainSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, PretrainSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["tokenizer" if spec.start == "scratch" else "model"])
    rows, measured = training_rows(run, "pretrain", report)
    report.phase("loading the model")
    if spec.start == "scratch":
        model, adapter = build_model(spec.architecture(len(tokenizer)), tokenizer, spec.seed), None
    else:
        model, adapter = load_start(run, tokenizer)
    max_length = min(spec.max_length, context_length(model) or spec.max_length)
    report.phase("tokenizing")
    data = packed([row["text"] for row in rows], tokenizer, max_length)
    report.event("packed", f"{len(rows)} texts became {len(data)} rows of {max_length} tokens")
    trainer = language_model_trainer(
        model,
        tokenizer,
        data,
        run,
        spec,
        max_length,
        adapter=adapter,
        measured=packed([row["text"] for row in measured], tokenizer, max_length) if measured else None,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result

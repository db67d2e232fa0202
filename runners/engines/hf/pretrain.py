"""Pretraining: next-token prediction on packed texts, from random weights or further from a model."""

from __future__ import annotations

from platform_core.algorithms.pretrain import PretrainSpec
from runners.engines.hf.data import load_rows, packed
from runners.engines.hf.language_model import language_model_trainer
from runners.engines.hf.model import build_model, context_length, load_model, load_tokenizer, save_model
from runners.engines.hf.trainer import prepare, run_training
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's PretrainSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, PretrainSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["tokenizer" if spec.start == "scratch" else "model"])
    texts = [row["text"] for row in load_rows(run.paths["dataset"], "pretrain", report)]
    report.phase("loading the model")
    if spec.start == "scratch":
        model = build_model(spec.architecture(len(tokenizer)), tokenizer, spec.seed)
    else:
        model = load_model(run.paths["model"], tokenizer)
    max_length = min(spec.max_length, context_length(model) or spec.max_length)
    report.phase("tokenizing")
    data = packed(texts, tokenizer, max_length)
    report.event("packed", f"{len(texts)} texts became {len(data)} rows of {max_length} tokens")
    trainer = language_model_trainer(model, tokenizer, data, run, spec, max_length)
    result = run_training(trainer, run, report)
    save_model(model, tokenizer, run)
    return result

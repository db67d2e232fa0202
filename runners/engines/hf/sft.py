"""Supervised fine-tuning on prompts with answers and on conversations."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.sft_trainer import SFTTrainer

from platform_core.algorithms.supervised import SupervisedSpec
from runners.engines.hf import checkpoint
from runners.engines.hf.conversation import IGNORED, use_template
from runners.engines.hf.data import learned
from runners.engines.hf.generate import stop_at_end
from runners.engines.hf.language_model import language_model_trainer
from runners.engines.hf.model import context_length, load_start, load_tokenizer, save_model
from runners.engines.hf.packing import Collator, need_apart, pack
from runners.engines.hf.reasoning import weighs
from runners.engines.hf.trainer import prepare, run_training
from runners.engines.hf.validation import training_rows
from runners.engines.hf.weighted_loss import WeightedTrainer
from runners.job import Run
from runners.report import Report

SHOWN_CHARACTERS = 2000


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's SFTSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, SupervisedSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    use_template(tokenizer, spec)
    rows, measured = training_rows(run, "sft", report)
    trainer = supervised_trainer(rows, measured, tokenizer, run, report)
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result


def supervised_trainer(
    rows: list[dict[str, Any]],
    measured: list[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    run: Run,
    report: Report,
) -> SFTTrainer:
    """A trainer of the spec's model on rows with answers, which are told as they are tokenized."""
    spec = run.spec
    assert isinstance(spec, SupervisedSpec)
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer)
    stop_at_end(model, tokenizer)
    max_length = min(spec.max_length, context_length(model) or spec.max_length)
    report.phase("tokenizing")
    data = learned(rows, tokenizer, max_length, run, report)
    if not checkpoint.numbered(run.checkpoints):
        show_loss(data[0], tokenizer, report)
    apart = weighs(spec)
    weighted: dict[str, Any] = {}
    if apart:
        kind = partial(WeightedTrainer, reasoning_weight=apart.reasoning_weight)
        weighted = {"kind": kind, "remove_unused_columns": False}
    if spec.packing != "off":
        whole = len(data)
        data = pack(data, max_length, spec.packing)
        report.event("packed", f"{whole} rows became {len(data)} of at most {max_length} tokens")
        need_apart(model, data)
    return language_model_trainer(
        model,
        tokenizer,
        data,
        run,
        spec,
        max_length,
        adapter=adapter,
        measured=learned(measured, tokenizer, max_length, run, report, "validation rows") if measured else None,
        collator=Collator(tokenizer.pad_token_id) if weighted or spec.packing != "off" else None,
        neftune_noise_alpha=spec.neftune_alpha,
        **weighted,
    )


def show_loss(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, report: Report) -> None:
    """The first row as an event: its text, what carries loss in ⟦ ⟧; `spans` holds the parts with true or false."""
    ids, labels = row["input_ids"], row["labels"]
    learns = [label != IGNORED for label in labels]
    ends = [0, *(at for at, (a, b) in enumerate(pairwise(learns), 1) if a != b), len(ids)]
    spans = [(tokenizer.decode(ids[a:b], skip_special_tokens=False), learns[a]) for a, b in pairwise(ends)]
    text = "".join(f"⟦{part}⟧" if trained else part for part, trained in spans)
    counted = f"{sum(learns)} of {len(ids)} tokens of the first row carry loss: "
    report.event("loss_mask", counted + text[:SHOWN_CHARACTERS], spans=spans if len(text) <= SHOWN_CHARACTERS else [])

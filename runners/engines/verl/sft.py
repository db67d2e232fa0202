"""SFT on verl: its SFT trainer under torchrun, on rows tokenized as the hf engine does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from platform_core.algorithms.sft import SFTSpec
from platform_core.errors import Problem
from runners.engines.hf.conversation import use_template
from runners.engines.hf.data import learned
from runners.engines.hf.model import load_tokenizer
from runners.engines.hf.validation import training_rows
from runners.engines.verl.data import write_examples
from runners.engines.verl.model import context_length
from runners.engines.verl.training import begin, run_verl
from runners.job import Run
from runners.report import Report


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's SFTSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, SFTSpec)
    setup = begin(run)
    tokenizer = load_tokenizer(setup.model)
    use_template(tokenizer, spec)
    rows, measured = training_rows(run, "sft", report)
    report.phase("tokenizing")
    length = min(spec.max_length, context_length(setup.model) or spec.max_length)
    examples = learned(rows, tokenizer, length, run, report)
    write_examples(Path(setup.train_file), examples["input_ids"], examples["labels"])
    batch = spec.batch_size * spec.gradient_accumulation_steps * setup.gpus_per_node
    batches = len(examples) // batch
    if not batches:
        raise Problem(
            "{file} has {rows} rows to train on, but one step takes {batch}: lower the batch size.",
            fields=("batch_size", "dataset"),
            file=run.paths["dataset"].name,
            rows=len(examples),
            batch=batch,
        )
    if measured:
        held = learned(measured, tokenizer, length, run, report, "validation rows")
        if len(held) < batch:
            raise Problem(
                "verl measures whole batches: {rows} validation rows are fewer than the {batch} of one; keep more, or "
                "lower the batch size.",
                fields=("validation_share", "batch_size"),
                rows=len(held),
                batch=batch,
            )
        write_examples(Path(setup.validation_file), held["input_ids"], held["labels"])
        setup = dataclasses.replace(setup, validation=True)
    total = spec.max_steps or max(1, int(spec.epochs * batches))
    return run_verl(run, report, setup, batches, total, tokenizer)

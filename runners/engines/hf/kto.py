"""KTO on answers rated good or bad."""

from __future__ import annotations

from trl.trainer.kto_config import KTOConfig

from platform_core.algorithms.kto import KTOSpec
from platform_core.errors import Problem
from runners.engines.hf.model import context_length, load_start, load_tokenizer, save_model
from runners.engines.hf.preference import Preferences, Row, prepared, rated, reference_model
from runners.engines.hf.preference_trainer import RatedTrainer
from runners.engines.hf.trainer import prepare, run_training, training_arguments
from runners.job import Run
from runners.report import Report

FAIR = (1.0, 4 / 3)
"""Where weight × number of good answers over that of bad ones should lie (KTO paper, eq. 8)."""


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's KTOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, KTOSpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer)

    def make(rows: list[Row], max_length: int, file: str) -> Preferences:
        return rated(rows, tokenizer, max_length, file)

    data, measured = prepared(run, report, "kto", make, context_length(model))
    balance(sum(data["label"]), len(data), spec, run.paths["dataset"].name, report)
    arguments = KTOConfig(
        **training_arguments(run, spec),
        beta=spec.beta,
        desirable_weight=spec.desirable_weight,
        undesirable_weight=spec.undesirable_weight,
        max_length=None,
    )
    trainer = RatedTrainer(
        model=model,
        ref_model=reference_model(run, tokenizer),
        args=arguments,
        train_dataset=data,
        eval_dataset=measured,
        processing_class=tokenizer,
        peft_config=adapter,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result


def balance(good: int, rows: int, spec: KTOSpec, file: str, report: Report) -> None:
    """Raise Problem when all answers are rated alike; an event when their weights do not make up for the numbers."""
    bad = rows - good
    if not good or not bad:
        raise Problem(
            "All rows of {file} have the same label, so there is nothing to prefer: KTO needs good and bad answers.",
            fields=("dataset",),
            file=file,
        )
    ratio = spec.desirable_weight * good / (spec.undesirable_weight * bad)
    if not FAIR[0] - 1e-9 <= ratio <= FAIR[1] + 1e-9:
        weight = spec.undesirable_weight * bad / good
        said = f"{good} good and {bad} bad answers: set the weight of good answers to {weight:.3g} to balance them"
        report.event("unbalanced_labels", said, level="warning", good=good, bad=bad)

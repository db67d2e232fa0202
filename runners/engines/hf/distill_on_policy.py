"""On-policy distillation on TRL's DistillationTrainer.

Of TRL 1.16's trainers it is the one in the stable API, with a divergence that never holds whole logits; GKDTrainer is
experimental and holds them. What it lacks of GKD, a share of steps on the dataset's answers, is added here. Models with
different tokenizers would need GOLD (experimental, several options of its own): they distill offline, by text.
"""

from __future__ import annotations

import random
from typing import Any

from datasets import Dataset
from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.distillation_trainer import DistillationTrainer

from platform_core.algorithms.distill_on_policy import OnPolicySpec
from platform_core.errors import Problem
from runners.engines.hf.data import encode, prompt_text
from runners.engines.hf.model import load_model, load_start, load_tokenizer, save_model
from runners.engines.hf.rollout import completion_length
from runners.engines.hf.trainer import prepare, run_training, training_arguments
from runners.engines.hf.validation import training_rows
from runners.job import Run
from runners.report import Report

SHOWN = 3


class OnPolicyTrainer(DistillationTrainer):  # type: ignore[misc]
    """DistillationTrainer that resumes exactly, mixes in the dataset's answers, and shows some of what it learns."""

    def __init__(self, *args: Any, spec: OnPolicySpec, report: Report, **more: Any) -> None:
        super().__init__(*args, **more)
        self.spec, self.report = spec, report
        self.given: list[list[int]] | None = None

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        # TRL draws the prompt order of every epoch from one running generator that no checkpoint keeps.
        sampler = super()._get_train_sampler(dataset)
        sampler.set_epoch = lambda epoch: sampler.generator.manual_seed(sampler.seed + epoch)
        return sampler

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        step = self.state.global_step + 1
        own = not self.model.training or random.Random(f"{self.spec.seed} {step}").random() < self.spec.student_share
        self.given = None if own else [row["completion_ids"] for row in inputs]
        made: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.model.training and (step == 1 or step % self.args.logging_steps == 0):
            self._show(step, made, own)
        return made

    def _generate_single_turn(self, *args: Any, **more: Any) -> list[list[int]]:
        return super()._generate_single_turn(*args, **more) if self.given is None else self.given

    def _show(self, step: int, made: dict[str, Any], own: bool) -> None:
        for prompt, mask, completion, end in zip(
            *(made[name][:SHOWN] for name in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")),
            strict=True,
        ):
            ids = completion[end.bool()]
            self.report.sample(
                step,
                prompt=self.processing_class.decode(prompt[mask.bool()]),
                completion=self.processing_class.decode(ids, skip_special_tokens=True),
                length=len(ids),
                truncated=int(ids[-1]) not in self.eos_token_ids,
                mode="student" if own else "dataset",
            )


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's OnPolicySpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, OnPolicySpec)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    need_one_tokenizer(tokenizer, load_tokenizer(run.paths["teacher"]))
    rows, measured = training_rows(run, "distill", report)
    prompts = spec.batch_size * spec.gradient_accumulation_steps
    if len(rows) < prompts:
        raise Problem(
            "{file} has {rows} prompts, but one step takes {prompts}: lower the batch size.",
            fields=("batch_size", "dataset"),
            file=run.paths["dataset"].name,
            rows=len(rows),
            prompts=prompts,
        )
    data = asked(rows, tokenizer, run)
    report.phase("loading the model")
    model, adapter = load_start(run, tokenizer)
    teacher = load_teacher(run, tokenizer, model)
    arguments = DistillationConfig(
        **training_arguments(run, spec),
        max_completion_length=completion_length(spec, model, tokenizer, data["prompt"], report),
        temperature=spec.temperature,
        top_k=0,
        beta=spec.beta,
        remove_unused_columns=False,
    )
    trainer = OnPolicyTrainer(
        model=model,
        teacher_model=teacher,
        args=arguments,
        train_dataset=data,
        eval_dataset=asked(measured, tokenizer, run) if measured else None,
        peft_config=adapter,
        processing_class=tokenizer,
        spec=spec,
        report=report,
    )
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    return result


def asked(rows: list[dict[str, Any]], tokenizer: Any, run: Run) -> Dataset:
    """Prompts as the models read them; with a student's share below 1 the dataset's answers as ids, cut to length."""
    spec, file = run.spec, run.paths["dataset"].name
    assert isinstance(spec, OnPolicySpec)
    columns: dict[str, Any] = {"prompt": [prompt_text(row["prompt"], tokenizer, file) for row in rows]}
    if spec.student_share < 1:
        if missing := sum(not row["completion"] for row in rows):
            raise Problem(
                "{missing} rows of {file} have no answer, but only a share of {share} of the steps is answered by the "
                "student: set its share to 1, or take rows with answers.",
                fields=("student_share", "dataset"),
                missing=missing,
                file=file,
                share=spec.student_share,
            )
        ids = encode([row["completion"] for row in rows], tokenizer)
        columns["completion_ids"] = [(one + [tokenizer.eos_token_id])[: spec.max_completion_length] for one in ids]
    return Dataset.from_dict(columns)


def need_one_tokenizer(student: Any, teacher: Any) -> None:
    """Raise Problem unless both write the same ids for the same tokens."""
    if student.get_vocab() != teacher.get_vocab():
        raise Problem(
            "Student and teacher have different tokenizers, so that their distributions can't be compared: take a "
            "teacher of the student's family, or distill its answers (kind “Distill answers”), which goes by text.",
            fields=("teacher", "model"),
        )


def load_teacher(run: Run, tokenizer: Any, student: Any) -> Any:
    """The teacher with as many output rows as the student: makers pad them differently; raises Problem for too few."""
    teacher = load_model(run.paths["teacher"], tokenizer)
    wanted, there = (m.get_output_embeddings().weight.shape[0] for m in (student, teacher))
    if there < wanted:
        raise Problem(
            "The teacher's output has {there} tokens, the student's {wanted}: they can't be compared; distill the "
            "teacher's answers instead (kind “Distill answers”).",
            fields=("teacher",),
            there=there,
            wanted=wanted,
        )
    if there > wanted:
        teacher.resize_token_embeddings(wanted)
    return teacher.requires_grad_(False).eval()

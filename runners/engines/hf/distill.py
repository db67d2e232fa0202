"""Offline distillation: the teacher answers all prompts, then the student learns the answers as in SFT.

Answers are kept batch by batch in the job's folder, so that a pause or a crash loses at most one batch. Batches are
always the same, and each draws from a seed of its own: an interrupted run gives the same answers.
"""

from __future__ import annotations

import gc
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from platform_core.algorithms.distill import DistillSpec
from platform_core.datasets.needs import as_chat
from platform_core.errors import Problem
from platform_core.files import write_whole
from runners.engines.hf.conversation import use_template
from runners.engines.hf.data import load_rows, prompt_text
from runners.engines.hf.generate import answer, batches
from runners.engines.hf.model import load_model, load_tokenizer, save_model
from runners.engines.hf.sft import supervised_trainer
from runners.engines.hf.trainer import pick_device, prepare, run_training
from runners.engines.hf.validation import split
from runners.job import Run, Stopped
from runners.report import Report

ANSWERS = "answers.jsonl"
SHOWN = 8
"""Answers of the teacher that go to the monitor; all of them stand in the output."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the teacher said to the prompt at `row`, in which batch, and whether it came to an end."""

    row: int
    batch: int
    prompt: str
    response: str
    ended: bool


def train(run: Run, report: Report) -> dict[str, object]:
    """Let the teacher answer and the student learn, as the job's DistillSpec says; the model goes to `run.output` with
    the answers as a dataset beside it; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, DistillSpec)
    prepare(run)
    rows = load_rows(run.paths["dataset"], "distill", report)
    apart = run.paths.get("validation_dataset")
    own = load_rows(apart, "distill", report) if apart else []
    answers = teacher_answers(rows + own, run, report)
    learned = answered(rows, answers[: len(rows)], spec)
    tell_left_out(len(rows) - len(learned), len(rows), spec, report)
    measured = answered(own, answers[len(rows) :], spec) if apart else []
    if not apart:
        learned, measured = split(learned, spec, run.paths["dataset"].name)
    prepare(run)
    tokenizer = load_tokenizer(run.paths["model"])
    use_template(tokenizer, spec)
    trainer = supervised_trainer(alike(learned), alike(measured), tokenizer, run, report)
    trainer.add_callback(ShowAnswers(answers[:SHOWN], report))
    result = run_training(trainer, run, report)
    save_model(trainer.model, tokenizer, run)
    write_dataset(answered(rows + own, answers, spec), run.output / ANSWERS)
    return {**result, "answers": len(answers)}


def teacher_answers(rows: list[Row], run: Run, report: Report) -> list[Answer]:
    """The teacher's answer to each row, those of an earlier attempt read instead of asked for again.

    Raises Stopped when a wish comes; what was answered stays.
    """
    spec, file = run.spec, run.folder / ANSWERS
    assert isinstance(spec, DistillSpec)
    tokenizer = load_tokenizer(run.paths["teacher"])
    prompts = [asked(row["prompt"], tokenizer, spec, run.paths["dataset"].name) for row in rows]
    planned = batches(prompts, spec.answer_batch_size)
    found = read_answers(file, prompts, planned)
    done = {a.batch for a in found}
    if len(done) < len(planned):
        report.phase("loading the model")
        teacher = load_model(run.paths["teacher"], tokenizer).to(pick_device(spec.device))
        how: dict[str, Any] = {"max_new_tokens": spec.max_new_tokens, "temperature": spec.temperature or None}
        with file.open("a", encoding="utf-8") as out:
            for number, places in enumerate(planned):
                report.writer.progress(phase="answering", answered=len(found), answers=len(prompts))
                if number in done:
                    continue
                if report.wish is not None:
                    raise Stopped
                set_seed(spec.seed + number)
                texts, ends = answer(teacher, tokenizer, [prompts[at] for at in places], **how)
                new = [
                    Answer(at, number, prompts[at], text, ended)
                    for at, text, ended in zip(places, texts, ends, strict=True)
                ]
                out.write("".join(json.dumps(vars(a), ensure_ascii=False) + "\n" for a in new))
                out.flush()
                os.fsync(out.fileno())
                found += new
        del teacher
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        report.event("answered", f"the teacher answered {len(prompts)} prompts")
    return sorted(found, key=lambda a: a.row)


def asked(prompt: str | list[Row], tokenizer: Any, spec: DistillSpec, file: str) -> str:
    """A prompt as the teacher reads it."""
    if isinstance(prompt, str) and spec.ask_as_chat and tokenizer.chat_template:
        prompt = [{"role": "user", "content": prompt}]
    return prompt_text(prompt, tokenizer, file)


def read_answers(file: Path, prompts: list[str], planned: list[list[int]]) -> list[Answer]:
    """Answers of whole batches that belong to these prompts; the file is cut back to them."""
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []:
        try:
            one = Answer(**json.loads(line))
            fits = one.row in planned[one.batch] and prompts[one.row] == one.prompt
        except (ValueError, TypeError, IndexError):
            continue  # written half when the runner was killed
        if fits:
            found.append(one)
    sizes = Counter(a.batch for a in found)
    whole = [a for a in found if sizes[a.batch] == len(planned[a.batch])]
    write_whole(file, "".join(json.dumps(vars(a), ensure_ascii=False) + "\n" for a in whole))
    return whole


def answered(rows: list[Row], answers: list[Answer], spec: DistillSpec) -> list[Row]:
    """Prompts with the teacher's answers, for supervised learning; empty and unfinished ones left out."""
    return [
        {"prompt": row["prompt"], "completion": a.response}
        for row, a in zip(rows, answers, strict=True)
        if a.response.strip() and (a.ended or spec.keep_unfinished)
    ]


def alike(rows: list[Row]) -> list[Row]:
    """All rows as conversations where one of them is."""
    chats = any(not isinstance(row["prompt"], str) for row in rows)
    return [as_chat(row) for row in rows] if chats else rows


def tell_left_out(count: int, of: int, spec: DistillSpec, report: Report) -> None:
    """Say how many prompts brought no answer to learn; raises Problem when none did."""
    if count == of:
        raise Problem(
            "None of the teacher's answers came to an end within {tokens} tokens: raise their length, or keep "
            "unfinished answers.",
            fields=("max_new_tokens", "keep_unfinished"),
            tokens=spec.max_new_tokens,
        )
    if count:
        said = f"{count} of {of} answers are empty or did not come to an end, and were left out"
        report.event("left_out", said, level="warning", count=count, of=of)


def write_dataset(rows: list[Row], file: Path) -> None:
    """The answers as a dataset: prompt and response, or messages."""
    made = [
        {"prompt": row["prompt"], "response": row["completion"]} if isinstance(row["prompt"], str) else as_chat(row)
        for row in rows
    ]
    write_whole(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made))


class ShowAnswers(TrainerCallback):  # type: ignore[misc]
    """Shows some of the teacher's answers when the training begins."""

    def __init__(self, answers: list[Answer], report: Report) -> None:
        self.answers, self.report = answers, report

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        if state.global_step == 0:
            for a in self.answers:
                self.report.sample(1, prompt=a.prompt, completion=a.response, truncated=not a.ended)

"""Evaluation by exact match: one greedy answer a question, several sampled ones, or both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import torch

from platform_core.algorithms.evaluate import EvaluateSpec
from platform_core.errors import Problem
from platform_core.evaluation.intervals import bootstrap_mean, wilson
from platform_core.files import write_whole
from platform_core.rewards.exact_match import exact_match, extract
from runners.engines.hf.data import load_rows, prompt_text
from runners.engines.hf.generate import generate
from runners.engines.hf.model import load_model, load_tokenizer, save_lineage
from runners.engines.hf.trainer import pick_device, prepare
from runners.job import Run, Stopped
from runners.report import Report

SHOWN = 20
"""Answers of each kind that go to the monitor; all of them stand in samples.jsonl."""


@dataclass
class Questions:
    """What is asked: the prompts as the model reads them, and the rows they come from."""

    prompts: list[str]
    rows: list[dict[str, Any]]
    spec: EvaluateSpec
    total: int
    done: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)

    def judge(self, at: int, draw: int, mode: str, completion: str) -> dict[str, Any]:
        """One answer with its score, as it stands in samples.jsonl."""
        row, spec = self.rows[at], self.spec
        return {
            "question": at,
            "prompt": self.prompts[at],
            "reference": row["reference"],
            "category": row["category"],
            "mode": mode,
            "draw": draw,
            "completion": completion,
            "answer": extract(completion, spec.answer_extraction, spec.answer_marker),
            "correct": bool(exact_match(completion, row["reference"], spec.answer_extraction, spec.answer_marker)),
        }


def evaluate(run: Run, report: Report) -> dict[str, object]:
    """Judge the model as the EvaluateSpec says; all answers go to `samples.jsonl`; returns shares with intervals."""
    spec = run.spec
    assert isinstance(spec, EvaluateSpec)
    prepare(run)
    report.resume_at(0)
    tokenizer = load_tokenizer(run.paths["model"])
    rows = load_rows(run.paths["dataset"], "evaluation", report, limit=spec.max_rows)
    report.phase("loading the model")
    model = load_model(run.paths["model"], tokenizer).to(pick_device())
    if not all(bool(torch.isfinite(weights).all()) for weights in model.parameters()):
        raise Problem(
            "The model has weights that are NaN or infinite, so that its answers mean nothing: judge another one.",
            fields=("model",),
        )
    prompts = [prompt_text(row["prompt"], tokenizer, run.paths["dataset"].name) for row in rows]
    questions = Questions(prompts, rows, spec, len(rows) * (int(spec.greedy) + spec.samples))
    result: dict[str, object] = {"n": len(rows)}
    if spec.greedy:
        greedy = ask(model, tokenizer, questions, report, "greedy", 1)
        result |= exact_match_result(greedy)
    if spec.samples:
        torch.manual_seed(spec.seed)
        sampled = ask(model, tokenizer, questions, report, "sampled", spec.samples)
        result |= sampled_result(sampled, spec.seed)
    lines = (json.dumps(answer, ensure_ascii=False) for answer in questions.answers)
    write_whole(run.output / "samples.jsonl", "".join(line + "\n" for line in lines))
    save_lineage(run, result=result)
    return result


def ask(
    model: Any, tokenizer: Any, questions: Questions, report: Report, mode: str, draws: int
) -> list[dict[str, Any]]:
    """Ask all questions `draws` times, reporting the share after each batch; answers in the order of the questions."""
    spec = questions.spec
    metric = "exact_match" if mode == "greedy" else "sampled_accuracy"
    found: list[dict[str, Any]] = []
    batches = generate(
        model,
        tokenizer,
        [prompt for prompt in questions.prompts for _ in range(draws)],
        max_new_tokens=spec.max_new_tokens,
        temperature=None if mode == "greedy" else spec.temperature,
        batch_size=spec.batch_size,
    )
    report.progress(questions.done, questions.total)
    for places, completions in batches:
        if report.wish is not None:
            raise Stopped
        judged = [
            questions.judge(at // draws, at % draws, mode, text) for at, text in zip(places, completions, strict=True)
        ]
        room = max(SHOWN - len(found), 0)
        found += judged
        questions.done += len(judged)
        report.metrics(questions.done, {metric: sum(a["correct"] for a in found) / len(found)})
        report.progress(questions.done, questions.total)
        for answer in judged[:room]:
            report.sample(questions.done, **answer)
    found.sort(key=lambda answer: (answer["question"], answer["draw"]))
    questions.answers += found
    return found


def exact_match_result(answers: list[dict[str, Any]]) -> dict[str, object]:
    """Share of right greedy answers with Wilson's 95 % interval, over all and by category."""
    low, high = wilson(sum(a["correct"] for a in answers), len(answers))
    result: dict[str, object] = {"exact_match": share(answers), "exact_match_low": low, "exact_match_high": high}
    categories = sorted({a["category"] for a in answers if a["category"] is not None})
    for category in categories:
        result[f"exact_match/{category}"] = share([a for a in answers if a["category"] == category])
    return result


def sampled_result(answers: list[dict[str, Any]], seed: int) -> dict[str, object]:
    """Share of right sampled answers with a 95 % bootstrap interval over questions."""
    by_question: dict[int, list[bool]] = {}
    for answer in answers:
        by_question.setdefault(answer["question"], []).append(answer["correct"])
    low, high = bootstrap_mean([sum(group) / len(group) for group in by_question.values()], seed)
    return {"sampled_accuracy": share(answers), "sampled_low": low, "sampled_high": high}


def share(answers: list[dict[str, Any]]) -> float:
    """Share of right answers."""
    return sum(a["correct"] for a in answers) / len(answers)

"""Evaluation by exact match or any other reward: one greedy answer a question, several sampled ones, or both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from platform_core.algorithms.evaluate import EvaluateSpec
from platform_core.errors import Problem
from platform_core.evaluation.intervals import bootstrap_mean, wilson
from platform_core.files import write_whole
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.presets import EXACT_MATCH
from platform_core.rewards.scorer import Scorer
from runners.engines.hf.data import load_rows, prompt_text
from runners.engines.hf.generate import generate
from runners.engines.hf.model import load_model, load_tokenizer, save_lineage
from runners.engines.hf.rewards import Failures, job_scorer, saved_reward
from runners.engines.hf.trainer import pick_device, prepare
from runners.job import Run, Stopped
from runners.report import Report

SHOWN = 20
"""Answers of each kind that go to the monitor; all of them stand in samples.jsonl."""
NAMES = {"greedy": "exact_match", "sampled": "sampled_accuracy"}
REWARD_NAMES = {"greedy": "greedy_reward", "sampled": "sampled_reward"}
"""What the mean score of a mode is called where the reward is not exact match: it need be no share of right answers."""


@dataclass
class Questions:
    """What is asked: the prompts as the model reads them, the rows they come from, and what scores the answers."""

    prompts: list[str]
    rows: list[dict[str, Any]]
    spec: EvaluateSpec
    scorer: Scorer
    failures: Failures
    done: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Answers to be given."""
        return len(self.rows) * (int(self.spec.greedy) + self.spec.samples)

    @property
    def names(self) -> dict[str, str]:
        """Metric of the greedy and of the sampled answers."""
        return NAMES if self.spec.reward == EXACT_MATCH else REWARD_NAMES

    def judge(self, asked: Sequence[tuple[int, int]], mode: str, completions: Sequence[str]) -> list[dict[str, Any]]:
        """Answers to some (question, draw) with their scores, as they stand in samples.jsonl."""
        scores = self.scorer.score(
            [
                Answer(said, row["reference"], self.prompts[at], row["row"], row["number"])
                for (at, _), said in zip(asked, completions, strict=True)
                for row in (self.rows[at],)
            ]
        )
        self.failures.saw(scores)
        return [
            {
                "question": at,
                "prompt": self.prompts[at],
                "reference": self.rows[at]["reference"],
                "category": self.rows[at]["category"],
                "mode": mode,
                "draw": draw,
                "completion": completion,
                "answer": next((part.extracted for part in score.parts if part.extracted is not None), None),
                **self._verdict(score),
            }
            for (at, draw), completion, score in zip(asked, completions, scores, strict=True)
        ]

    def _verdict(self, score: Score) -> dict[str, Any]:
        if self.spec.reward == EXACT_MATCH:
            return {"correct": bool(score.value)}
        return {"reward": score.value, "rewards": {part.name: part.value for part in score.parts}}


def evaluate(run: Run, report: Report) -> dict[str, object]:
    """Judge the model as the EvaluateSpec says; all answers go to `samples.jsonl`; returns means with intervals."""
    spec = run.spec
    assert isinstance(spec, EvaluateSpec)
    prepare(run)
    report.resume_at(0)
    found = saved_reward(run)
    with job_scorer(run, report, found) as scorer:
        tokenizer = load_tokenizer(run.paths["model"])
        rows = load_rows(run.paths["dataset"], "evaluation", report, spec.max_rows, found.reward.columns)
        report.phase("loading the model")
        model = load_model(run.paths["model"], tokenizer).to(pick_device())
        if not all(bool(torch.isfinite(weights).all()) for weights in model.parameters()):
            raise Problem(
                "The model has weights that are NaN or infinite, so that its answers mean nothing: judge another one.",
                fields=("model",),
            )
        prompts = [prompt_text(row["prompt"], tokenizer, run.paths["dataset"].name) for row in rows]
        questions = Questions(prompts, rows, spec, scorer, Failures(report))
        result: dict[str, object] = {"n": len(rows)}
        if spec.greedy:
            greedy = ask(model, tokenizer, questions, report, "greedy", 1)
            result |= greedy_result(greedy, questions.names["greedy"], spec.seed)
        if spec.samples:
            torch.manual_seed(spec.seed)
            sampled = ask(model, tokenizer, questions, report, "sampled", spec.samples)
            result |= sampled_result(sampled, questions.names["sampled"], spec.seed)
    if questions.failures.count:
        result["not_scored"] = questions.failures.count
    lines = (json.dumps(answer, ensure_ascii=False) for answer in questions.answers)
    write_whole(run.output / "samples.jsonl", "".join(line + "\n" for line in lines))
    save_lineage(run, result=result)
    return result


def ask(
    model: Any, tokenizer: Any, questions: Questions, report: Report, mode: str, draws: int
) -> list[dict[str, Any]]:
    """Ask all questions `draws` times, reporting the mean after each batch; answers in the order of the questions."""
    spec = questions.spec
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
        judged = questions.judge([divmod(at, draws) for at in places], mode, completions)
        room = max(SHOWN - len(found), 0)
        found += judged
        questions.done += len(judged)
        report.metrics(questions.done, {questions.names[mode]: mean(found)})
        report.progress(questions.done, questions.total)
        for answer in judged[:room]:
            report.sample(questions.done, **answer)
    found.sort(key=lambda answer: (answer["question"], answer["draw"]))
    questions.answers += found
    return found


def greedy_result(answers: list[dict[str, Any]], name: str, seed: int) -> dict[str, object]:
    """Mean score of the greedy answers, over all with an interval, by category, and by function of the reward.

    The interval is Wilson's where every score is 0 or 1, else a bootstrap's over questions.
    """
    scores = [score_of(a) for a in answers]
    shares = all(score in (0.0, 1.0) for score in scores)
    low, high = wilson(sum(scores), len(scores)) if shares else bootstrap_mean(scores, seed)
    result: dict[str, object] = {name: mean(answers), f"{name}_low": low, f"{name}_high": high}
    for category in sorted({a["category"] for a in answers if a["category"] is not None}):
        result[f"{name}/{category}"] = mean([a for a in answers if a["category"] == category])
    functions = answers[0].get("rewards", {})
    if len(functions) > 1:
        for function in functions:
            known = [a["rewards"][function] for a in answers if a["rewards"][function] is not None]
            result[f"rewards/{function}/mean"] = sum(known) / len(known) if known else 0.0
    return result


def sampled_result(answers: list[dict[str, Any]], name: str, seed: int) -> dict[str, object]:
    """Mean score of the sampled answers with a 95 % bootstrap interval over questions."""
    by_question: dict[int, list[float]] = {}
    for answer in answers:
        by_question.setdefault(answer["question"], []).append(score_of(answer))
    low, high = bootstrap_mean([sum(group) / len(group) for group in by_question.values()], seed)
    stem = name.removesuffix("_accuracy")
    return {name: mean(answers), f"{stem}_low": low, f"{stem}_high": high}


def score_of(answer: dict[str, Any]) -> float:
    """What an answer counts: 1 or 0 by exact match, else its reward."""
    return float(answer["correct"] if "correct" in answer else answer["reward"])


def mean(answers: list[dict[str, Any]]) -> float:
    """Mean score."""
    return sum(map(score_of, answers)) / len(answers)

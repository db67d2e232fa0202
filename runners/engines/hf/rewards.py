"""A job's reward: opened once, tried on its test cases first; and as TRL calls it, its last batch kept to be shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from platform_core.algorithms.scored import ScoredSpec
from platform_core.clock import monotonic
from platform_core.errors import Problem, Text
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.cases import check_cases
from platform_core.rewards.presets import EXACT_MATCH, PRESETS, exact_match_reward
from platform_core.rewards.resources import ModelScorer
from platform_core.rewards.scorer import Scorer, open_scorer
from platform_core.rewards.spec import models_of
from platform_core.rewards.store import Saved, load
from runners.job import Run
from runners.report import Report

SUM = "sum"
WATCHED = 10
"""Batches in a row after which a reward that never differs is told, and so is one that takes most of the time."""
SLOW_SHARE, SLOW_SECONDS = 0.5, 0.5
SHOWN_ERRORS = 5


class JobReward:
    """TRL's reward function: the sum's value for each completion; the functions' means are metrics of their own."""

    def __init__(self, scorer: Scorer, report: Report) -> None:
        self.scorer, self.report = scorer, report
        self.__name__ = scorer.names[0] if len(scorer.names) == 1 else SUM
        self._last: list[tuple[Answer, Score, int]] = []
        self._watch, self._failures = Watch(report), Failures(report)

    def __call__(
        self,
        prompts: list[str],
        completions: list[str],
        completion_ids: list[list[int]],
        answer: list[str],
        log_metric: Callable[[str, float], None] | None = None,
        row: Sequence[str] | None = None,
        number: Sequence[int] | None = None,
        **more: Any,
    ) -> list[float]:
        rows = [json.loads(r) for r in row] if row is not None else [{}] * len(prompts)
        numbers = number if number is not None else [None] * len(prompts)
        asked = [Answer(*one) for one in zip(completions, answer, prompts, rows, numbers, strict=True)]
        begun = monotonic()
        scores = self.scorer.score(asked)
        self._watch.saw([s.value for s in scores], monotonic() - begun)
        self._failures.saw(scores)
        if log_metric is not None and len(self.scorer.names) > 1:
            for at, name in enumerate(self.scorer.names):
                log_metric(f"rewards/{name}/mean", sum(s.parts[at].value or 0.0 for s in scores) / len(scores))
        self._last = list(zip(asked, scores, map(len, completion_ids), strict=True))
        return [score.value for score in scores]

    def prompt(self, at: int) -> str:
        """The prompt of a completion of the last batch."""
        return self._last[at][0].prompt

    def sample(self, at: int) -> dict[str, object]:
        """A completion of the last batch as it is shown: texts, reward, reward by function, length in tokens."""
        answer, score, length = self._last[at]
        return {
            "prompt": answer.prompt,
            "completion": answer.completion,
            "reference": answer.reference,
            "reward": score.value,
            "length": length,
            "rewards": {part.name: part.value for part in score.parts},
        }


class Failures:
    """Counts the answers that can't be scored, and tells of the first of them."""

    def __init__(self, report: Report) -> None:
        self.report, self.count = report, 0

    def saw(self, scores: Sequence[Score]) -> None:
        """Look for errors in a batch's scores."""
        for score in scores:
            if score.error is not None:
                self.tell(score.error)

    def tell(self, error: Text) -> None:
        """An answer could not be scored."""
        self.count += 1
        if self.count <= SHOWN_ERRORS:
            self.report.event("reward_error", f"{error} It counts as 0.", level="warning")


class Watch:
    """Tells once when a reward is the same for all answers of many batches, and once when it takes most of the time."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._first: float | None = None
        self._same = self._slow = 0
        self._ended: float | None = None

    def saw(self, values: Sequence[float], seconds: float) -> None:
        """Take a batch's rewards and the seconds that scoring it took."""
        self._first = values[0] if self._first is None else self._first
        self._same = self._same + 1 if all(value == self._first for value in values) else -(10**9)
        if self._same == WATCHED:
            said = f"the reward was {self._first:g} for every answer so far: nothing can be learned from it"
            self.report.event("constant_reward", said, level="warning")
        now = monotonic()
        whole = now - self._ended if self._ended is not None else 0.0
        self._ended = now
        self._slow += whole > 0 and seconds > SLOW_SECONDS and seconds > SLOW_SHARE * whole
        if self._slow == WATCHED:
            said = f"the reward takes {seconds / len(values) * 1000:.0f} ms an answer, {seconds / whole:.0%} of a step"
            self.report.event("slow_reward", said, level="warning")
            self._slow = -(10**9)


def saved_reward(run: Run) -> Saved:
    """The reward that the job's spec names: built-in, or the folder that the job keeps."""
    spec = run.spec
    assert isinstance(spec, ScoredSpec)
    if spec.reward == EXACT_MATCH:
        return Saved(EXACT_MATCH, exact_match_reward(spec.answer_extraction, spec.answer_marker))
    if "reward" in run.paths:
        return load(run.paths["reward"])
    if spec.reward in PRESETS:
        return Saved(spec.reward, PRESETS[spec.reward].reward())
    raise Problem("There is no reward “{name}” in this job: choose another.", fields=("reward",), name=spec.reward)


@contextmanager
def job_scorer(run: Run, report: Report, found: Saved) -> Iterator[Scorer]:
    """The job's reward, open; call it before the model is loaded. Raises Problem when a test case fails, or when a
    function can't be opened here.
    """
    report.phase("trying the reward")
    models = reward_models(run, found, report)
    with open_scorer(found.reward, found.folder, models, workers=max(1, min(run.threads, 8))) as scorer:
        try_cases(found, scorer, report)
        yield scorer


def try_cases(found: Saved, scorer: Scorer, report: Report) -> None:
    """Run a reward's test cases; raises Problem naming the first that fails."""
    if found.cases:
        check_cases(found.name, scorer, found.cases)
        report.event("reward_cases", f"the reward passes its {len(found.cases)} test cases")


def reward_models(run: Run, found: Saved, report: Report) -> dict[str, ModelScorer]:
    """The reward models that a reward asks, by the reference in its settings."""
    asked = models_of(found.reward)
    if not asked:
        return {}
    from runners.engines.hf.model import load_tokenizer
    from runners.engines.hf.reward_model import loaded, reads_like, score

    found_models: dict[str, ModelScorer] = {}
    for name, model in asked.items():
        folder = run.paths[f"reward.{name}"]
        loaded(folder)  # what is no reward model is told now
        if not reads_like(folder, load_tokenizer(run.paths["model"])):
            said = f"the reward model {folder.name} has another tokenizer: it reads the answers as text, tokenized anew"
            report.event("other_tokenizer", said, reward=name)
        found_models[model] = partial(score, folder)
    return found_models


def columns(rows: Sequence[dict[str, Any]], found: Saved) -> dict[str, list[Any]]:
    """The columns of a dataset that its reward looks at besides prompt and answer: row numbers, whole rows as JSON."""
    more: dict[str, list[Any]] = {"number": [row["number"] for row in rows]}
    if found.reward.needs_row:
        more["row"] = [json.dumps(row["row"], ensure_ascii=False, default=str) for row in rows]
    return more

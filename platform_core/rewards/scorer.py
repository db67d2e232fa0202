"""The one way to score: training, evaluation, verl, the bench and the command line all open a reward here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.errors import Problem, Text, text
from platform_core.rewards.answer import Answer, Part, Score, Verdict, failed
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import Judge, kind
from platform_core.rewards.resources import ModelScorer, Resources
from platform_core.rewards.spec import Reward


class RewardFailed(Problem):
    """An answer could not be scored, and the reward's policy is to stop."""


class Scorer:
    """An open reward; the same answers get the same scores whoever asks."""

    def __init__(self, reward: Reward, judges: Sequence[Judge]) -> None:
        self.reward, self.judges, self.names = reward, judges, reward.names

    def score(self, answers: Sequence[Answer]) -> list[Score]:
        """One score an answer, in order. Raises RewardFailed when one can't be scored and the policy is to stop."""
        if not answers:
            return []
        begun = monotonic()
        asked = [self._with_reference(answer) for answer in answers]
        columns = [judged(function, judge, asked) for function, judge in self._functions()]
        seconds = (monotonic() - begun) / len(answers)
        return [self._sum(answer, [column[at] for column in columns], seconds) for at, answer in enumerate(answers)]

    def _functions(self) -> Iterator[tuple[RewardFunction, Judge]]:
        return zip(self.reward.functions, self.judges, strict=True)

    def _with_reference(self, answer: Answer) -> Answer:
        name = self.reward.answer_field
        if name is None or name not in answer.row:
            return answer
        return replace(answer, reference=answer.text_of(name))

    def _sum(self, answer: Answer, verdicts: Sequence[Verdict], seconds: float) -> Score:
        parts, total, error = [], 0.0, None
        for name, function, verdict in zip(self.names, self.reward.functions, verdicts, strict=True):
            value = None if verdict.value is None else clipped(verdict.value, function.clip_low, function.clip_high)
            parts.append(Part(name, function.kind, value, function.weight, verdict.extracted, verdict.why,
                              verdict.error))  # fmt: skip
            if verdict.error is not None and error is None:
                error = about(answer, name, verdict.error)
            total += function.weight * (value or 0.0)
        if error is None:
            return Score(clipped(total, self.reward.clip_low, self.reward.clip_high), parts, seconds)
        if self.reward.on_error == "stop":
            raise RewardFailed.of(error)
        return Score(0.0, parts, seconds, error)


@contextmanager
def open_scorer(
    reward: Reward,
    folder: Path | None = None,
    models: Mapping[str, ModelScorer] | None = None,
    workers: int = 2,
    code: str | None = None,
) -> Iterator[Scorer]:
    """Open a reward for scoring; its processes start at the first need and end with the block.

    `folder` holds the files of a saved reward (`code.py`, unless `code` is given); `models` scores for functions of
    kind `reward_model`.
    Raises Problem when a function can't be opened here.
    """
    with ExitStack() as stack:
        resources = Resources(stack, folder, models or {}, workers, code)
        yield Scorer(reward, [kind(f.kind).open(f, resources) for f in reward.functions])


def judged(function: RewardFunction, judge: Judge, answers: Sequence[Answer]) -> list[Verdict]:
    """The verdicts of one function, each with a finite value or an error."""
    verdicts = judge(answers)
    assert len(verdicts) == len(answers), function.kind
    return [
        failed(text("it gave {value}, which is no finite number", value=str(v.value)))
        if v.value is not None and not math.isfinite(v.value)
        else v
        for v in verdicts
    ]


def clipped(value: float, low: float | None, high: float | None) -> float:
    """A value moved into the range."""
    value = value if low is None else max(low, value)
    return value if high is None else min(high, value)


def about(answer: Answer, name: str, error: Text) -> Text:
    """An error with the row it belongs to."""
    if answer.number is None:
        return text("The reward function {name} could not score an answer: {error}.", name=name, error=error)
    return text(
        "The reward function {name} could not score the answer to row {row}: {error}.",
        name=name,
        row=answer.number,
        error=error,
    )

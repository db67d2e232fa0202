"""What can be known of a reward before a training: does it tell right from wrong on the dataset's own rows?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from platform_core.algorithms.registry import Algorithm
from platform_core.datasets import service as datasets
from platform_core.datasets.needs import training_rows
from platform_core.errors import Problem, Text, text
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, Reference, references
from platform_core.rewards import service
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.function import AnswerFunction
from platform_core.rewards.kinds.format_check import FormatCheck
from platform_core.rewards.kinds.registry import kind
from platform_core.rewards.presets import EXACT_MATCH, exact_match_reward
from platform_core.rewards.scorer import RewardFailed, open_scorer
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import Saved
from platform_core.workspace.service import Workspace

ROWS = 16
SLOW_SECONDS = 0.05
"""An answer; a batch of a hundred then takes five seconds and more."""


@dataclass(frozen=True)
class Tried:
    """A sample's scores: what is right, what is empty, and what is another row's answer."""

    right: Sequence[Score]
    wrong: Sequence[Score]

    @property
    def seconds(self) -> float:
        """Of wall time an answer."""
        scores = [*self.right, *self.wrong]
        return sum(s.seconds for s in scores) / len(scores) if scores else 0.0


def reward_of_job(workspace: Workspace, spec: JobSpec) -> Saved | None:
    """The reward that a job learns from, with its simple settings; None for a kind without. Raises Problem."""
    name = getattr(spec, "reward", None)
    if not isinstance(name, str) or not any(r.pick == "reward" for r in references(spec)):
        return None
    if name == EXACT_MATCH:
        made = exact_match_reward(str(getattr(spec, "answer_extraction", "")), str(getattr(spec, "answer_marker", "")))
        return Saved(name, made)
    return service.get(workspace.home, name)


def reward_columns(workspace: Workspace, spec: JobSpec) -> dict[str, str] | None:
    """Which field of the dataset plays the answer, by the job's reward."""
    try:
        found = reward_of_job(workspace, spec)
    except Problem:
        return None  # said beside the reward
    return found.reward.columns if found is not None else None


def check_reward(workspace: Workspace, algorithm: Algorithm, spec: JobSpec, reference: Reference) -> list[Finding]:
    """Warnings for a reward that is the same for every answer; only where that costs no process. Raises Problem."""
    found = reward_of_job(workspace, spec)
    named = getattr(spec, "dataset", None)
    if found is None or not named or not cheap(found.reward) or algorithm.dataset_format is None:
        return []
    try:
        answers = sample(workspace, str(named), algorithm.dataset_format, found.reward)
    except Problem:
        return []  # said beside the dataset
    try:
        said = verdict(found.reward, try_on(found.reward, answers))
    except RewardFailed as failure:
        said = failure.text
    return [Finding("warning", said, (reference.field,))] if said is not None else []


def cheap(reward: Reward) -> bool:
    """Whether it can be tried without starting a process."""
    return all(kind(f.kind).where == "here" for f in reward.functions)


def sample(
    workspace: Workspace, name: str, family: str, reward: Reward, rows: int = ROWS, first: int = 1
) -> list[Answer]:
    """Usable rows of a dataset from the `first` on, their right answers as completions; raises Problem when it does not
    fit.
    """
    path = datasets.get(workspace.home, name).path
    found = []
    with training_rows(path, family, first - 1 + rows, reward.columns) as source:
        for row in islice(source, first - 1, None):
            right = str(row.get("answer") or row.get("reference") or "")
            prompt = row["prompt"] if isinstance(row["prompt"], str) else str(row["prompt"][-1]["content"])
            found.append(Answer(right, right, prompt, source.value, source.number))
    return found


def try_on(reward: Reward, answers: Sequence[Answer], folder: Path | None = None, code: str | None = None) -> Tried:
    """Scores of right answers in the form that the reward asks for, of empty ones and of other rows' answers."""
    others = [*answers[1:], *answers[:1]]
    right = [replace(a, completion=said) for a in answers for said in as_wanted(reward, a.completion)]
    wrong = [replace(a, completion="") for a in answers] + [
        replace(a, completion=said)
        for a, o in zip(answers, others, strict=True)
        if o.completion != a.completion
        for said in as_wanted(reward, o.completion)
    ]
    with open_scorer(reward, folder, code=code) as scorer:
        return Tried(scorer.score(right), scorer.score(wrong))


def as_wanted(reward: Reward, answer: str) -> list[str]:
    """An answer in the form that each function looks for it in, and as it stands."""
    made = [answer]
    for function in reward.functions:
        if isinstance(function, AnswerFunction):
            made.append(written(function, answer))
        elif isinstance(function, FormatCheck) and function.check == "tags":
            made.append("".join(f"<{tag}>{answer}</{tag}>" for tag in function.names))
    return list(dict.fromkeys(made))


def written(function: AnswerFunction, answer: str) -> str:
    """An answer where the function's rule finds it."""
    if function.extraction == "json":
        steps = function.json_path.removeprefix("$").strip(".").split(".")
        value: object = answer
        for step in reversed(steps):
            value = {step: value}
        return json.dumps(value, ensure_ascii=False)
    return {
        "boxed": f"\\boxed{{{answer}}}",
        "marker": f"{function.marker} {answer}",
        "tag": f"<{function.tag}>{answer}</{function.tag}>",
    }.get(function.extraction, answer)


def tells_apart(reward: Reward) -> bool:
    """Whether the sample is in a form in which this reward could tell right from wrong."""
    return any(
        (isinstance(f, AnswerFunction) and f.extraction != "regex")
        or (isinstance(f, FormatCheck) and f.check == "tags")
        for f in reward.functions
    )


def verdict(reward: Reward, tried: Tried) -> Text | None:
    """What should worry a person about a sample, or None."""
    scores = [*tried.right, *tried.wrong]
    failing = next((s.error for s in scores if s.error is not None), None)
    if failing is not None:
        return failing
    if tells_apart(reward) and len({s.value for s in scores}) == 1:
        return text(
            "This reward gives {value:g} to every answer tried on this dataset, right, wrong and empty ones: it tells "
            "nothing apart. Try it on the page Rewards.",
            value=scores[0].value,
        )
    if tried.seconds > SLOW_SECONDS:
        return text("This reward takes {ms:.0f} ms an answer: it will slow each step.", ms=tried.seconds * 1000)
    return None

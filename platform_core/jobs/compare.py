"""Jobs side by side: settings that differ first, results with their intervals, groups with mean and spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_core.algorithms.registry import algorithms
from platform_core.database.engine import reading
from platform_core.errors import Problem, Text, text
from platform_core.evaluation.scores import SHARES, Score, better, scores
from platform_core.jobs import service, store
from platform_core.jobs.spec import Setting, setting_of
from platform_core.jobs.store import Job
from platform_core.metrics.meanings import title
from platform_core.workspace.service import Workspace

MOST = 20
ABSENT = object()
"""The value of a setting that a job's kind does not have."""


@dataclass(frozen=True)
class Run:
    """One job of a comparison. `scores`: by metric; `evaluated`: those of them that an evaluation of its model found,
    with that job. `final` says whether it has completed, so that its numbers are a result.
    """

    job: Job
    scores: dict[str, Score]
    evaluated: dict[str, Job]

    @property
    def final(self) -> bool:
        return bool(self.job.result.get("metrics"))

    def value(self, metric: str) -> float | None:
        """The number of a metric; None where it has none or it is not finite."""
        score = self.scores.get(metric)
        found = None if score is None else score.value
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            return None
        return float(found)

    def basis(self, metric: str) -> tuple[str, object]:
        """What a number was measured by and on: the kind of job and its dataset."""
        source = self.evaluated.get(metric, self.job)
        return source.kind, source.spec.get("dataset")


@dataclass(frozen=True)
class SettingRow:
    """One setting and its value in each run, `ABSENT` where the run's kind lacks it."""

    name: str
    setting: Setting
    values: list[Any]


@dataclass(frozen=True)
class Comparison:
    """Runs in the order asked for, settings that differ, those that are equal, metrics.

    `left_out` holds a sentence for each run that was asked for and is not there.
    """

    runs: list[Run]
    different: list[SettingRow]
    equal: list[SettingRow]
    metrics: list[str]
    left_out: list[Text]


@dataclass(frozen=True)
class Group:
    """Runs that agree in something: how many have the metric, its mean and sample standard deviation (None below 2)."""

    label: Any
    runs: list[Run]
    n: int
    mean: float | None
    sd: float | None


def compare(workspace: Workspace, ids: Sequence[str]) -> Comparison:
    """Compare up to 20 jobs; ids that are unknown, in the trash or too many are told in `left_out`."""
    jobs, left_out = _find(workspace, ids)
    evaluations = _evaluations(workspace, jobs)
    datasets = {name for found in evaluations.values() for name in found}
    runs = [_run(job, evaluations.get(job.id, {}), len(datasets) > 1) for job in jobs]
    rows = setting_rows(jobs)
    different = [row for row in rows if any(differs(v, row.values[0]) for v in row.values)]
    equal = [row for row in rows if row not in different]
    return Comparison(runs, different, equal, metrics_of(runs), left_out)


def differs(one: Any, other: Any) -> bool:
    """Whether two values of a setting differ; 1 and 1.0 don't, 1 and True do."""
    return isinstance(one, bool) != isinstance(other, bool) or one != other


def setting_rows(jobs: Sequence[Job]) -> list[SettingRow]:
    """All settings of the jobs in the order of their specs; the kind and the engine come first."""
    rows = {
        "kind": SettingRow("kind", Setting("Kind", "What the job does."), [job.kind for job in jobs]),
        "engine": SettingRow("engine", Setting("Engine", "Which library computes."), [job.engine for job in jobs]),
    }
    for name in dict.fromkeys(name for job in jobs for name in job.spec):
        rows[name] = SettingRow(name, _setting(jobs, name), [job.spec.get(name, ABSENT) for job in jobs])
    return list(rows.values())


def metrics_of(runs: Sequence[Run]) -> list[str]:
    """Names of all numbers: evaluated ones first, then what matters for the kinds, then those of most runs."""
    known = algorithms()
    names = list(dict.fromkeys(name for run in runs for name in run.scores if run.value(name) is not None))
    main = [m for run in runs if run.job.kind in known for m in known[run.job.kind].metrics]

    def rank(name: str) -> tuple[int, int, int]:
        share = sum(run.value(name) is not None for run in runs)
        evaluated = any(name in run.evaluated for run in runs)
        return (0 if evaluated else 1 if name in main else 2, main.index(name) if name in main else 0, -share)

    return sorted(names, key=rank)


def setting_title(setting: Setting, say: Callable[[Text | str], str]) -> str:
    """What a setting is called, with its unit where the title does not say it."""
    title, unit = say(setting.title), say(setting.unit) if setting.unit else ""
    return f"{title} ({unit})" if unit and unit.lower() not in title.lower() else title


def metric_title(name: str, say: Callable[[Text | str], str]) -> str:
    """What a number is called: a part of a score with its category, one of several datasets with the dataset."""
    whole, dot, dataset = name.partition(" · ")
    stem, slash, category = whole.partition("/")
    parts = [say(title(stem)), category] if slash and stem in SHARES else [say(title(whole))]
    return " · ".join([*parts, dataset] if dot else parts)


def best(runs: Sequence[Run], metric: str) -> list[str]:
    """Ids of the runs with the best value.

    None where values are equal, were measured on different data or by different kinds of jobs, or where it is not sure
    which direction is better.
    """
    values = {run.job.id: v for run in runs if (v := run.value(metric)) is not None}
    direction = better(metric)
    bases = {repr(run.basis(metric)) for run in runs if run.job.id in values}
    if direction is None or len(set(values.values())) < 2 or len(bases) > 1:
        return []
    known = algorithms()
    if metric == "loss" and any(known[r.job.kind].metrics[0] != "loss" for r in runs if r.job.kind in known):
        return []  # a policy's loss says nothing about the policy
    top = min(values.values()) if direction == "lower" else max(values.values())
    return [job_id for job_id, value in values.items() if value == top]


def groups_of(runs: Sequence[Run], by: str) -> list[tuple[Any, list[Run]]]:
    """Runs that share a setting's value, a tag (`tag`, a run counts under each of its tags) or a group (`group`)."""
    members: dict[str, tuple[Any, list[Run]]] = {}
    for run in runs:
        labels: list[Any] = list(run.job.tags) or [None]
        if by != "tag":
            labels = [run.job.group_name if by == "group" else _of(run.job, by)]
        for label in labels:
            members.setdefault(repr(label), (label, []))[1].append(run)
    return list(members.values())


def grouped(comparison: Comparison, by: str, metric: str) -> list[Group]:
    """Mean and spread of a metric in each group of `groups_of`."""
    groups = []
    for label, runs in groups_of(comparison.runs, by):
        values = [v for run in runs if (v := run.value(metric)) is not None]
        mean = float(np.mean(values)) if values else None
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        groups.append(Group(label, runs, len(values), mean, spread))
    return groups


def _of(job: Job, name: str) -> Any:
    return {"kind": job.kind, "engine": job.engine}.get(name, job.spec.get(name, ABSENT))


def _setting(jobs: Sequence[Job], name: str) -> Setting:
    known = algorithms()
    for job in jobs:
        if job.kind in known and name in known[job.kind].spec.model_fields:
            return setting_of(known[job.kind].spec.model_fields[name], name)
    return Setting(name, "")


def _find(workspace: Workspace, ids: Sequence[str]) -> tuple[list[Job], list[Text]]:
    jobs: dict[str, Job] = {}
    left_out = []
    for asked in dict.fromkeys(ids):
        if len(jobs) == MOST:
            left_out.append(text("Only the first {n} runs are compared: choose fewer to see the others.", n=MOST))
            break
        try:
            job = service.get(workspace, asked)
            if job.deleted_at is None:
                jobs[job.id] = job
            else:
                left_out.append(text("“{name}” is in the trash: restore it to compare it.", name=job.name))
        except Problem:
            left_out.append(text("There is no job {id} (any more); the others are compared.", id=asked[:40]))
    return list(jobs.values()), left_out


def _evaluations(workspace: Workspace, jobs: Sequence[Job]) -> dict[str, dict[str, Job]]:
    """The newest completed evaluation of each job's final model, by dataset."""
    found: dict[str, dict[str, Job]] = {}
    with reading(workspace.engine) as connection:
        for job in jobs:
            users = store.needed_by(connection, job.id)
            judged = store.find_jobs(connection, ids=users, kinds=["evaluate"], states=["completed"]) if users else []
            for other in reversed(judged):
                if other.spec.get("model") == f"job:{job.id}":
                    found.setdefault(job.id, {})[str(other.spec.get("dataset"))] = other
    return found


def _run(job: Job, evaluations: dict[str, Job], name_datasets: bool) -> Run:
    own = {score.name: score for score in scores(job.result.get("metrics") or job.latest)}
    evaluated: dict[str, Job] = {}
    for dataset, judge in evaluations.items():
        for score in scores(judge.result.get("metrics") or {}):
            name = f"{score.name} · {dataset}" if name_datasets else score.name
            if name not in own:
                own[name] = Score(name, score.value, score.low, score.high, score.n)
                evaluated[name] = judge
    return Run(job, own, evaluated)

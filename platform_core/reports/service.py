"""What a report of one job or of a comparison says, and its formats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

from platform_core import durations
from platform_core.alerts import service as alerts
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.environment.software import lathe_version
from platform_core.errors import Problem, text
from platform_core.evaluation.scores import Score
from platform_core.jobs import document, service
from platform_core.jobs.compare import ABSENT, Comparison, Run, best, compare, metric_title, setting_title
from platform_core.jobs.folder import metrics_file, provenance
from platform_core.jobs.looks import looks
from platform_core.jobs.progress import seconds_taken
from platform_core.jobs.states import word
from platform_core.jobs.store import Job
from platform_core.metrics.meanings import MEANINGS
from platform_core.metrics.reader import Reader
from platform_core.reports import csv
from platform_core.reports.html import to_html
from platform_core.reports.parts import Chart, Document, Facts, Grid, Line, Part, Prose, Voice
from platform_core.reports.pdf import to_pdf
from platform_core.workspace.service import Workspace

Format = Literal["html", "pdf", "csv"]
FORMATS: tuple[Format, ...] = ("html", "pdf", "csv")
MEDIA = {"html": "text/html; charset=utf-8", "pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}
BUCKETS, CHARTS, SAMPLES, LONGEST = 300, 6, 5, 600


def render(workspace: Workspace, ids: Sequence[str], format: Format, voice: Voice) -> Iterator[bytes]:
    """A report as pieces of a file. Raises Problem when none of the jobs is there."""
    shown = compare(workspace, ids)
    if not shown.runs:
        raise Problem.of(shown.left_out[0]) if shown.left_out else Problem("Name at least one job for the report.")
    if format == "csv":
        runs = [(r.job.id, r.job.name, metrics_file(workspace, r.job)) for r in shown.runs]
        lines = csv.wide(runs[0][2]) if len(runs) == 1 else csv.long(runs)
        return (piece.encode("utf-8", "backslashreplace") for piece in lines)
    made = build(workspace, shown, voice)
    return iter([to_html(made).encode() if format == "html" else to_pdf(made)])


def build(workspace: Workspace, shown: Comparison, voice: Voice) -> Document:
    """The report of a comparison; of one job where it holds only one."""
    say = voice.say
    footer = say(text("Made by lathe {version} on {time}.", version=lathe_version(), time=moment(now())))
    jobs = [run.job for run in shown.runs]
    if len(jobs) == 1:
        job = jobs[0]
        parts = [*facts(job, voice), *_alerts(workspace, job, voice), _numbers(shown, voice)]
        parts += [*charts(workspace, jobs, voice), _settings(shown, voice), *_samples(workspace, job, voice)]
        parts += [*_history(workspace, job, voice), *_making(workspace, job, voice)]
        return Document(job.name, f"{_kind(job.kind, voice)} · {job.id}", footer, voice.lang, _filled(parts))
    title = say(text("{n} runs compared", n=len(jobs)))
    parts = [_overview(shown, voice), _differences(shown, voice), _numbers(shown, voice)]
    parts += [*charts(workspace, jobs, voice), _settings(shown, voice)]
    parts += [Prose(say(text("Left out")), "\n".join(say(t) for t in shown.left_out))] if shown.left_out else []
    for job in jobs:
        parts += [Prose(say(text("Note on {name}", name=job.name)), job.note)] if job.note else []
    for job in jobs:
        parts += _making(workspace, job, voice)
    return Document(title, ", ".join(job.name for job in jobs), footer, voice.lang, _filled(parts))


def facts(job: Job, voice: Voice) -> list[Part]:
    """What, when, who, and what people wrote on it."""
    say, taken = voice.say, seconds_taken(job)
    rows = [
        (say(text("State")), say(word(job.state))),
        (say(text("Why")), say(job.reason) if job.reason is not None else ""),
        (say(text("By")), job.owner),
        (say(text("Group")), job.group_name or ""),
        (say(text("Tags")), ", ".join(job.tags)),
        (say(text("Made")), moment(job.created_at)),
        (say(text("Started")), moment(job.started_at)),
        (say(text("Ended")), moment(job.finished_at)),
        (say(text("Took")), say(durations.exact(taken)) if taken is not None else ""),
        (say(text("Steps")), "" if job.step is None else f"{job.step:,} / {job.total_steps or job.step:,}"),
    ]
    parts: list[Part] = [Facts(say(text("Overview")), [(label, value) for label, value in rows if value])]
    return [*parts, Prose(say(text("Note")), job.note)] if job.note else parts


def charts(workspace: Workspace, jobs: Sequence[Job], voice: Voice) -> list[Part]:
    """Curves of the metrics that matter for the jobs' kinds, all runs in one chart each."""
    lines: dict[str, list[Line]] = {}
    known = algorithms()
    look = looks([job.id for job in jobs])
    for job in jobs:
        with Reader(metrics_file(workspace, job)) as run:
            there = run.names()
            main = [m for m in (known[job.kind].metrics if job.kind in known else ()) if m in there] or there
            for name in main[:CHARTS]:
                curve = run.curve(name, BUCKETS)
                if len(curve.steps) > 1:
                    lines.setdefault(name, []).append(Line(job.name[:60], *look[job.id], curve.steps, curve.mean))
    over = voice.say(text("over steps"))
    many = len(jobs) > 1
    return [Chart(f"{_titled(name, voice)}, {over}", found, many) for name, found in list(lines.items())[:CHARTS]]


def shown_score(score: Score) -> str:
    """A number with its 95 % interval and n."""
    factor, unit = (100, " %") if score.is_share else (1, "")
    if isinstance(score.value, bool) or not isinstance(score.value, int | float):
        return str(score.value)
    parts = [
        f"{factor * score.value:.4g}{unit}" if isinstance(score.value, float) else f"{factor * score.value:,}{unit}"
    ]
    if score.low is not None and score.high is not None:
        parts.append(f"[{factor * score.low:.4g}, {factor * score.high:.4g}]")
    return " ".join([*parts, *([f"n = {score.n:,}"] if score.n is not None else [])])


def moment(time: float | None) -> str:
    """A time in UTC, to the second; empty when there is none."""
    return "" if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _titled(metric: str, voice: Voice) -> str:
    known = MEANINGS.get(metric)
    return metric_title(metric, voice.say) + (f" ({voice.say(known.unit)})" if known is not None and known.unit else "")


def _value(name: str, value: object, voice: Voice) -> str:
    if value is ABSENT:
        return "–"
    if name == "kind":
        return _kind(str(value), voice)
    return voice.say(text("none")) if value is None else value if isinstance(value, str) else json.dumps(value)


def _kind(kind: str, voice: Voice) -> str:
    known = algorithms().get(kind)
    return voice.say(known.title) if known is not None else kind


def _overview(shown: Comparison, voice: Voice) -> Part:
    say = voice.say
    headings = [say(text("Run")), say(text("State")), say(text("Made")), say(text("By")), say(text("Tags"))]
    rows = [
        [
            f"{r.job.name} ({r.job.id})",
            say(word(r.job.state)),
            moment(r.job.created_at),
            r.job.owner,
            ", ".join(r.job.tags),
        ]
        for r in shown.runs
    ]
    return Grid(say(text("Runs")), headings, rows)


def _differences(shown: Comparison, voice: Voice) -> Part:
    headings = [voice.say(text("Setting")), *(_short(run.job) for run in shown.runs)]
    rows = [
        [setting_title(r.setting, voice.say), *(_value(r.name, v, voice) for v in r.values)] for r in shown.different
    ]
    return Grid(voice.say(text("Settings that differ")), headings, rows)


def _settings(shown: Comparison, voice: Voice) -> Part:
    rows = [[setting_title(r.setting, voice.say), r.name, _value(r.name, r.values[0], voice)] for r in shown.equal]
    one = len(shown.runs) == 1
    title = voice.say(text("Settings") if one else text("Settings that are equal"))
    headings = [voice.say(text("Setting")), voice.say(text("Name")), voice.say(text("Value"))]
    return Grid(title, headings, rows, folded=not one)


def _numbers(shown: Comparison, voice: Voice) -> Part:
    rows, strong = [], set()
    for at, name in enumerate(shown.metrics):
        top = best(shown.runs, name)
        strong |= {(at, i + 1) for i, run in enumerate(shown.runs) if run.job.id in top}
        rows.append([_titled(name, voice), *(_score(run, name) for run in shown.runs)])
    single = len(shown.runs) == 1
    headings = [voice.say(text("Metric"))]
    headings += [voice.say(text("Value"))] if single else [_short(run.job) for run in shown.runs]
    final = all(run.final for run in shown.runs)
    title = text("Results, with 95 % intervals where there are any") if final else text("Results and newest values")
    return Grid(voice.say(title), headings, rows, frozenset(strong))


def _score(run: Run, name: str) -> str:
    score = run.scores.get(name)
    return "–" if score is None else shown_score(score)


def _short(job: Job) -> str:
    return f"{job.name[:40]} ({job.id[-4:]})"


def _samples(workspace: Workspace, job: Job, voice: Voice) -> list[Part]:
    with Reader(metrics_file(workspace, job)) as run:
        found = run.samples(SAMPLES)
    names = list(dict.fromkeys(name for sample in found for name in sample.data))[:5]
    rows = [[str(s.step), *(_cut(str(s.data.get(name, ""))) for name in names)] for s in found]
    return [Grid(voice.say(text("Newest samples")), [voice.say(text("Step")), *names], rows)]


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _history(workspace: Workspace, job: Job, voice: Voice) -> list[Part]:
    say = voice.say
    attempts, transitions = service.history(workspace, job.id)
    changes = [
        [moment(t.time), say(word(t.to_state)), t.actor, say(t.reason) if t.reason is not None else ""]
        for t in transitions
    ]
    tries = [
        [str(a.number), a.host, moment(a.launched_at), moment(a.ended_at), say(a.outcome or ""), a.cause or ""]
        for a in attempts
    ]
    when, by = [say(text("When")), say(text("State"))], [say(text("By")), say(text("Why"))]
    heads = [say(text("Attempt")), say(text("Host")), say(text("Began")), say(text("Ended"))]
    return [
        Grid(say(text("Attempts")), [*heads, say(text("Ended with")), say(text("Cause"))], tries),
        Grid(say(text("History")), [*when, *by], changes),
    ]


def _alerts(workspace: Workspace, job: Job, voice: Voice) -> list[Part]:
    say = voice.say
    rows = [
        [say(a.level), moment(a.since), say(a.what), say(a.why) if a.why is not None else ""]
        for a in alerts.list_alerts(workspace, job_id=job.id, limit=50)
    ]
    return [
        Grid(say(text("Alerts")), [say(text("Level")), say(text("Since")), say(text("What")), say(text("Why"))], rows)
    ]


def _making(workspace: Workspace, job: Job, voice: Voice) -> list[Part]:
    say = voice.say
    known = algorithms().get(job.kind)
    verb = "eval" if known is not None and known.role == "evaluate" else "train"
    steps = f"lathe {verb} {job.kind} --config settings.yaml\n\n# settings.yaml\n"
    made_of = provenance(workspace, job)
    parts: list[Part] = [
        Prose(
            say(text("How to make “{name}” again", name=job.name[:60])),
            steps + document.write(job.kind, job.name, job.spec, job.engine),
            code=True,
        )
    ]
    if made_of:
        told = json.dumps(made_of, ensure_ascii=False, indent=1)
        parts.append(Prose(say(text("What “{name}” was made of", name=job.name[:60])), told, code=True))
    return parts


def _filled(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Grid) or part.rows]

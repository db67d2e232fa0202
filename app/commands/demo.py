"""`lathe demo`: train a small model from nothing, watched in a table."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any

import click

from app.commands.live import Live, watch
from app.commands.options import steps, verb, workspace
from app.commands.printing import duration, plain, program, show, show_json, significant, table
from platform_core.demo import service
from platform_core.errors import Problem
from platform_core.jobs import supervision
from platform_core.jobs.progress import headline, seconds_left, seconds_taken
from platform_core.jobs.store import Job
from platform_core.workspace import page
from platform_core.workspace.service import Workspace

HEADERS = ("STAGE", "STATE", "STEP", "VALUE", "TIME")


@click.command("demo")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Same seed, same models.")
@verb
def command(seed: int, as_json: bool) -> int:
    """Train a small language model from nothing and watch it learn to add.

    Makes seven jobs: tokenizer, pretraining, SFT, GRPO and three evaluations. A demo of this seed that is not finished
    goes on instead.
    """
    place = workspace()
    jobs = service.start_demo(place, seed)
    group = str(jobs[0].group_name)
    stages = {job.id: stage for stage, job in service.demo_jobs(place, group).items()}
    live = Live(sys.stderr if as_json else sys.stdout)
    try:
        supervision.ensure(place.home)
        with nullcontext() if as_json else page.beside(place.home) as url:
            if url is not None:
                live.record(f"Watch it in a browser, too: {url}")
            ended = watch(place, list(stages), lambda now: live.draw(_table(now, stages)), live, stages)
    except KeyboardInterrupt:
        show(
            f"\nThe demo goes on in the background. Watch it: {program()} demo --seed {seed} · "
            f"stop it: {program()} jobs stop {' '.join(stages)}",
            err=True,
        )
        return 130
    result = service.demo_result(place, group)
    if result is None:
        raise _unfinished(ended, seed)
    if as_json:
        show_json(result)
    else:
        _tell(place, result, {stages[j.id]: j for j in ended})
    return 0


def _table(jobs: list[Job], stages: dict[str, str]) -> list[str]:
    return table(HEADERS, [_row(stages[job.id], job) for job in jobs])


def _row(stage: str, job: Job) -> list[object]:
    metric, left, taken = headline(job), seconds_left(job), seconds_taken(job)
    value = "" if metric is None else f"{metric[0]} {significant(metric[1])}"
    time = duration(taken) if left is None else f"{duration(left)} left"
    return [stage, job.state, steps(job), value, time]


def _unfinished(jobs: list[Job], seed: int) -> Problem:
    first = next(job for job in jobs if job.state != "completed")
    return Problem(
        "The demo is not finished: “{name}” is {state}{why} `lathe demo --seed {seed}` goes on with it, "
        "`lathe jobs logs {id}` has the details.",
        name=first.name,
        state=first.state,
        why="." if first.reason is None else f" ({first.reason}).",
        seed=seed,
        id=first.id,
    )


def _score(scores: dict[str, Any], name: str, prefix: str = "") -> str:
    """ "97.8 % (96.1 to 98.8)"; empty for what was not measured."""
    low, high = (scores.get(f"{prefix or name}_{end}") for end in ("low", "high"))
    if name not in scores or low is None or high is None:
        return ""
    return f"{scores[name]:.1%} ({100 * low:.1f} to {100 * high:.1f})".replace("%", " %")


def _tell(place: Workspace, result: dict[str, Any], jobs: dict[str, Job]) -> None:
    scores = service.scores(place, str(jobs["sft"].group_name))
    rows = [[name, _score(s, "exact_match"), _score(s, "sampled_accuracy", "sampled")] for name, s in scores.items()]
    questions = next(iter(scores.values()))["n"]
    show(f"\nDone in {duration(result['seconds'])}. Of {questions} sums that the models had never seen, they solved:")
    for line in table(("MODEL", "GREEDY", "SAMPLED"), rows):
        show("  " + line)
    show("  (in brackets: 95 % confidence interval)")
    show(f"\nThe numbers are in {plain(place.home / 'demo' / 'result.json')}. Now:")
    lathe = program()
    ways = [
        (f"{lathe} serve", "see the curves and ask the models sums of your own in a browser"),
        (f"{lathe} models list", "the models it made"),
        (f"{lathe} jobs clone {jobs['sft'].id} --set max_steps=200 --start", "the same SFT, shorter"),
        (f"{lathe} data add FILE, {lathe} train sft --help", "train on data of your own"),
    ]
    longest = max(len(command) for command, _ in ways)
    for command, purpose in ways:
        show(f"  {command:<{longest}}  {purpose}")

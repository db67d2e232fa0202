"""`lathe jobs …`: look at jobs and ask for changes of their state."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from threading import Event
from typing import Any

import click
import yaml

from app.commands.live import follow
from app.commands.logs import logs
from app.commands.options import Commands, each, job_json, steps, verb, workspace
from app.commands.organize import commands as marks
from app.commands.printing import STATE_COLOURS as COLOURS
from app.commands.printing import ago, duration, paint, plain, show, show_json, significant, table
from app.commands.queue import moment
from app.commands.reproduce import commands as reproductions
from platform_core.alerts import service as alerts
from platform_core.clock import now
from platform_core.hosts import history
from platform_core.jobs import service, supervision
from platform_core.jobs.cost import cost
from platform_core.jobs.organize import clean_tag
from platform_core.jobs.progress import headline, seconds_left, seconds_taken
from platform_core.jobs.retry import WORDS
from platform_core.jobs.states import ENDED, NEXT
from platform_core.jobs.store import Job
from platform_core.jobs.utilization import utilization
from platform_core.options import service as options
from platform_core.queue.priority import PRIORITIES, rank
from platform_core.workspace.service import Workspace


@click.group("jobs", cls=Commands, help="List, look at, start, stop, delete and clone jobs.")
def command() -> None:
    """An id may be shortened to its last four characters where only one job fits."""


@command.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(list(NEXT)), help="Only in this state (repeatable)."
)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only of this kind (repeatable).")
@click.option("--search", default="", metavar="TEXT", help="Only with this in name, id or kind.")
@click.option("--group", metavar="NAME", help="Only of this group.")
@click.option("--tag", metavar="TAG", help="Only with this tag.")
@click.option("--starred", is_flag=True, help="Only with a star.")
@click.option("--archived", is_flag=True, help="Those in the archive, which are hidden otherwise.")
@click.option("--trash", is_flag=True, help="Deleted jobs, which can be restored.")
@click.option("--limit", type=click.IntRange(1), help="At most this many. [default: 50; with --json: all]")
@verb
def list_(
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    search: str,
    group: str | None,
    tag: str | None,
    starred: bool,
    archived: bool,
    trash: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List jobs, newest first."""
    filters: dict[str, Any] = {
        "states": states or None,
        "kinds": kinds or None,
        "search": search,
        "group": group,
        "tag": None if tag is None else clean_tag(tag),
        "starred": starred,
        "deleted": trash,
        "archived": None if trash else archived,
    }
    if as_json:
        show_json([job_json(j) for j in service.list_jobs(workspace(), limit=limit, **filters)])
        return
    limit = limit or 50
    found = service.list_jobs(workspace(), limit=limit + 1, **filters)
    if not found:
        filtered = any(filters.values())
        show(
            "No job fits."
            if filtered
            else "No jobs yet. Start the demo: lathe demo · or one of your own: lathe train --help"
        )
        return
    headers = ["ID", "NAME", "KIND", "STATE", "STEP", "VALUE", "TIME", "CREATED"]
    for line in table(headers, [_row(j) for j in found[:limit]]):
        show(line)
    if len(found) > limit:
        show(f"… and more: lathe jobs list --limit {limit * 10}")


def _row(job: Job) -> list[object]:
    metric, left = headline(job), seconds_left(job)
    value = "" if metric is None else f"{metric[0]} {significant(metric[1])}"
    time = duration(seconds_taken(job)) if left is None else f"{duration(left)} left"
    return [job.id, job.name, job.kind, job.state, steps(job), value, time, ago(now() - job.created_at)]


@command.command("show")
@click.argument("job_id", metavar="ID")
@verb
def show_(job_id: str, as_json: bool) -> None:
    """Show one job: its state, settings, attempts and result."""
    place = workspace()
    job = service.get(place, job_id)
    attempts, transitions = service.history(place, job.id)
    if as_json:
        told = [{**asdict(t), "reason": None if t.reason is None else str(t.reason)} for t in transitions]
        more = {"spec": job.spec, "attempts": [asdict(a) for a in attempts], "history": told}
        show_json({**job_json(job), "folder": str(place.job_folder(job.id)), **more})
        return
    show(paint(plain(job.name), 1))
    for line in _facts(place, job):
        show(line)
    show("\nSettings")
    for line in yaml.safe_dump(job.spec, sort_keys=False, allow_unicode=True).splitlines():
        show("  " + plain(line))
    show("\nHistory")
    for t in transitions:
        why = f"  {plain(t.reason)}" if t.reason is not None else ""
        show(f"  {ago(now() - t.time):>12}  {t.to_state:<10} by {plain(t.actor)}{why}")
    for a in attempts:
        gpus = f", GPU {plain(history.indexes(place, a.devices, a.host))}" if a.devices else ""
        end = f"exit code {a.exit_code}" if a.exit_code is not None else f"signal {a.signal}" if a.signal else ""
        cause = f" ({plain(WORDS.get(a.cause, a.cause))})" if a.cause else ""
        where = f"pid {a.pid or '–'} on {plain(a.host)}{gpus}"
        show(f"  attempt {a.number}: {where}  {a.outcome or ''}{cause}  {end}".rstrip())


def _facts(place: Workspace, job: Job) -> list[str]:
    metrics = job.result.get("metrics") or job.latest
    values = ", ".join(f"{plain(k)} {significant(v)}" for k, v in metrics.items() if isinstance(v, int | float))
    prices, tokens = options.current(place), job.progress.get("tokens")
    spent = cost(job, job.ran_seconds, prices)
    used = utilization(job.kind, job.progress, job.latest.get("tokens_per_second"))
    chosen = f"{', '.join(map(str, job.gpu_indexes))} (chosen)" if job.gpu_indexes else job.gpus or ""
    deleted = " (in the trash)" if job.deleted_at is not None else ""
    facts = [
        ("State", f"{paint(job.state, COLOURS.get(job.state))}{deleted}, {ago(now() - job.since)}"),
        ("Why", plain(job.reason) if job.reason is not None else ""),
        ("Kind", f"{job.kind} on {job.engine}"),
        ("Id", job.id),
        ("Group", plain(job.group_name or "")),
        ("Tags", plain(", ".join(job.tags))),
        ("Note", plain(job.note or "")),
        ("Marks", ", ".join(m for m, on in (("star", job.starred), ("archived", job.archived_at is not None)) if on)),
        ("GPUs", str(chosen)),
        ("Step", steps(job)),
        ("Time left", duration(seconds_left(job))),
        ("Time taken", duration(seconds_taken(job))),
        ("Cost", "" if spent is None else f"{spent:,.2f} {plain(prices.currency)}"),
        ("Tokens seen", f"{tokens:,.0f}" if isinstance(tokens, int | float) and tokens else ""),
        ("MFU", "" if used is None else f"{100 * used:.1f} %"),
        ("Values", values),
        ("Folder", plain(place.job_folder(job.id))),
    ]
    return [f"  {name:<11} {value}" for name, value in facts if value]


@command.command("start")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--follow", "--wait", "wait", is_flag=True, help="Show progress until the (only) job has ended.")
@click.option("--priority", type=click.Choice(PRIORITIES), help="Class in the queue. [default: as it was]")
@click.option("--not-before", metavar="TIME", default="", help="Start later: +30m, 2h, 18:30 or 2026-12-24T18:00.")
@verb
def start(ids: tuple[str, ...], wait: bool, priority: str | None, not_before: str, as_json: bool) -> int:
    """Put jobs into the queue; one that was paused or stopped goes on from its last checkpoint."""
    if wait and len(ids) > 1:
        raise click.UsageError("--follow shows one job: name one.")
    begin = partial(service.start, priority=None if priority is None else rank(priority), not_before=moment(not_before))
    code = each(ids, begin, "{name} ({id}) is {state}.", as_json and not wait)
    if code and len(ids) == 1:
        return code
    place = workspace()
    supervision.ensure(place.home)
    if wait and not code:
        job, code = follow(place, service.get(place, ids[0]), sys.stderr if as_json else None)
        if as_json:
            show_json([job_json(job)])
        elif job.reason is not None and code:
            show(plain(job.reason), err=True)
    return code


@command.command("pause")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@verb
def pause(ids: tuple[str, ...], as_json: bool) -> int:
    """Save a checkpoint after the current step and free the memory; `lathe jobs start` goes on from exactly there."""
    return each(ids, service.pause, "{name} ({id}) is {state}.", as_json)


@command.command("stop")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--wait", is_flag=True, help="Return when the jobs have ended.")
@verb
def stop(ids: tuple[str, ...], wait: bool, as_json: bool) -> int:
    """Ask jobs to stop after their current step and a checkpoint."""
    return each(ids, _stop_and_wait if wait else service.stop, "{name} ({id}) is {state}.", as_json)


def _stop_and_wait(place: Workspace, job_id: str) -> Job:
    job, pause = service.stop(place, job_id), Event()
    if job.state not in ENDED:
        supervision.ensure(place.home)
    while job.state not in ENDED:
        pause.wait(0.2)
        job = service.get(place, job.id)
    return job


@command.command("delete")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@verb
def delete(ids: tuple[str, ...], as_json: bool) -> int:
    """Move jobs with their output to the trash; `lathe jobs restore` brings them back."""
    return each(ids, service.delete, "{name} is in the trash. Undo: lathe jobs restore {id}", as_json)


@command.command("restore")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@verb
def restore(ids: tuple[str, ...], as_json: bool) -> int:
    """Take jobs out of the trash again."""
    return each(ids, service.restore, "{name} ({id}) is back: {state}.", as_json)


@command.command("fix")
@click.argument("job_id", metavar="ID")
@verb
def fix(job_id: str, as_json: bool) -> None:
    """Try again in a new job, with the fix of the job's worst alert; one that still runs is stopped."""
    place = workspace()
    alert = alerts.best_fix(place, job_id)
    made = alerts.retry(place, alert.id)
    supervision.ensure(place.home)
    if as_json:
        show_json(job_json(made))
        return
    for name, old, new in alerts.changes(service.get(place, job_id), alert.fix):
        show(f"{name}: {plain(alerts.shown(old))} → {plain(alerts.shown(new))}")
    show(f"{plain(made.name)} ({made.id}) is {made.state}.")


@command.command("clone")
@click.argument("job_id", metavar="ID")
@click.option("--name", default="", metavar="TEXT", help="What the new job is called.")
@click.option("--set", "changes", multiple=True, metavar="SETTING=VALUE", help="Change a setting (repeatable).")
@click.option("--start", "at_once", is_flag=True, help="Start it at once.")
@verb
def clone(job_id: str, name: str, changes: tuple[str, ...], at_once: bool, as_json: bool) -> None:
    """Make a new job with the settings of another."""
    place = workspace()
    source = service.get(place, job_id)
    values = service.clone_values(source)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: write it as setting=value, for example --set seed=1.")
        values[key.strip().replace("-", "_")] = None if value in ("", "none") else value
    name = name or f"{source.name} (copy)"
    job = service.create(place, source.kind, values, name=name, engine=source.engine, start=at_once)
    if at_once:
        supervision.ensure(place.home)
    if as_json:
        show_json(job_json(job))
    else:
        show(f"Made {plain(job.name)} ({job.id})." + ("" if at_once else f" Start it: lathe jobs start {job.id}"))


command.add_command(logs)
for mark in (*marks, *reproductions):
    command.add_command(mark)

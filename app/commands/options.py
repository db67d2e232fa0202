"""Options that every verb has, and the pieces verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from app.commands.printing import plain, show, show_json
from platform_core.errors import Problem
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace, open_workspace

Function = Callable[..., Any]


def verb(function: Function) -> Function:
    """Give a command `--json` and `--home`."""
    from app.cli import choose_home

    function = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)
    return click.option(
        "--home", metavar="FOLDER", expose_value=False, is_eager=True, callback=choose_home, help="The workspace."
    )(function)


class Commands(click.Group):
    """A group whose help tells each command in full, in the order in which they are written."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, (c.help or "").partition("\n\n")[0]) for name, c in found if c is not None])


def workspace() -> Workspace:
    """The workspace that `--home` or PLATFORM_HOME names."""
    return open_workspace()


def job_json(job: Job) -> dict[str, Any]:
    """A job as the command line's JSON gives it; times in seconds since the epoch."""
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "engine": job.engine,
        "state": job.state,
        "since": job.since,
        "reason": None if job.reason is None else str(job.reason),
        "step": job.step,
        "total_steps": job.total_steps,
        "eta_seconds": job.progress.get("eta_seconds"),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "owner": job.owner,
        "group": job.group_name,
        "attempt": job.attempt,
        "latest": job.latest,
        "result": job.result,
    }


def steps(job: Job) -> str:
    """ "120/400", "120", or empty before the first step."""
    if job.step is None:
        return ""
    return f"{job.step}/{job.total_steps}" if job.total_steps else str(job.step)


def each(ids: tuple[str, ...], do: Callable[[Workspace, str], Job], done: str, as_json: bool) -> int:
    """Do the same to each job; what is refused is said, the others are still done."""
    place, jobs, code = workspace(), [], 0
    for job_id in ids:
        try:
            jobs.append(do(place, job_id))
        except Problem as problem:
            show(plain(problem), err=True)
            code = 1
    if as_json:
        show_json([job_json(job) for job in jobs])
    else:
        for job in jobs:
            tags = ", ".join(plain(t) for t in job.tags) or "–"
            show(done.format(name=plain(job.name), id=job.id, tags=tags, state=job.state))
    return code

"""`lathe supervisor …`: the process that runs the jobs of a workspace."""

from __future__ import annotations

import os
import runpy
import sys
from dataclasses import asdict

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, plain, show, show_json
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.jobs import supervision


@click.group("supervisor", cls=Commands, help="Start, stop and look at the process that runs jobs.")
def command() -> None:
    """One a workspace, started on its own when a job is; it outlives the page and this command."""


@command.command("start")
@verb
def start(as_json: bool) -> None:
    """Start it unless it is alive."""
    supervision.ensure(workspace().home)
    _tell(as_json)


@command.command("stop")
@verb
def stop(as_json: bool) -> None:
    """Stop it; running jobs go on, and the next supervisor takes them over."""
    home = workspace().home
    ended = supervision.stop(home)
    if as_json or not ended:
        _tell(as_json)
    else:
        show(f"The supervisor of {plain(home)} has ended. Running jobs go on; the next job, or the page, starts it.")


@command.command("status")
@verb
def status(as_json: bool) -> int:
    """Say whether it is alive; exit code 1 when it is not."""
    return 0 if _tell(as_json) else 1


@command.command("run")
@verb
def run(as_json: bool) -> None:
    """Be the supervisor, in the foreground, until Ctrl-C."""
    home = str(workspace().home)
    found = supervision.status(workspace().home)
    if found.alive:
        raise Problem("A supervisor of {home} is running already (pid {pid}).", home=home, pid=found.pid)
    if as_json:
        show_json({"home": home, "pid": os.getpid()})
    sys.argv = ["lathe supervisor run", "--home", home]
    runpy.run_module("runners.supervisor", run_name="__main__", alter_sys=True)


def _tell(as_json: bool) -> bool:
    home = workspace().home
    found = supervision.status(home)
    if as_json:
        show_json({**asdict(found), "home": str(home)})
    elif found.alive:
        since = "" if found.since is None else f", started {ago(now() - found.since)}"
        show(f"The supervisor of {plain(home)} is running: pid {found.pid}{since}.")
    else:
        show(f"The supervisor of {plain(home)} is not running; the next job, or the page, starts it.")
    return found.alive

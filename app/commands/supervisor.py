"""`lathe supervisor …`: the process that runs the jobs of a workspace."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from app.commands.options import verb, workspace
from app.commands.printing import show, show_json
from platform_core.jobs import supervision


@click.group("supervisor", help="Start, stop and look at the process that runs jobs.")
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
    supervision.stop(workspace().home)
    _tell(as_json)


@command.command("status")
@verb
def status(as_json: bool) -> int:
    """Say whether it is alive; exit code 1 when it is not."""
    return 0 if _tell(as_json) else 1


@command.command("run")
@verb
def run(as_json: bool) -> None:
    """Be the supervisor, in the foreground, until Ctrl-C."""
    os.environ["PLATFORM_HOME"] = str(workspace().home)
    os.execv(sys.executable, [sys.executable, "-m", "runners.supervisor"])


def _tell(as_json: bool) -> bool:
    found: dict[str, Any] = {"alive": supervision.is_alive(workspace().home), "home": str(workspace().home)}
    if as_json:
        show_json(found)
    else:
        show("The supervisor is running." if found["alive"] else "The supervisor is not running.")
    return bool(found["alive"])

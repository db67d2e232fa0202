"""`lathe environments …`: the interpreters that jobs can run with."""

from __future__ import annotations

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, plain, show, show_json, table
from platform_core.clock import now
from platform_core.environments import service
from platform_core.environments.health import ENGINES, EXTRAS, VERL
from platform_core.environments.service import Environment
from platform_core.jobs.service import current_user


@click.group("environments", cls=Commands, help="See and add the interpreters that jobs run with (--environment NAME).")
def command() -> None:
    """The base environment is the platform's own; verl with vLLM on GPUs lives in another."""


@command.command("list")
@verb
def list_(as_json: bool) -> None:
    """List the environments with what each can run."""
    found = service.environments(workspace().home)
    if as_json:
        show_json([as_object(one) for one in found])
        return
    rows = [[one.name, runs(one), one.health.version("torch"), one.health.version("verl"), one.python] for one in found]
    for line in table(["NAME", "RUNS", "TORCH", "VERL", "PYTHON"], rows):
        show(line)


@command.command("add")
@click.argument("name")
@click.argument("python", metavar="PYTHON")
@verb
def add(name: str, python: str, as_json: bool) -> None:
    """Add an interpreter: its path, or the folder of a virtual environment."""
    told(service.add(workspace().home, name, python, current_user()), as_json)


@command.command("check")
@click.argument("name", default=service.BASE)
@verb
def check(name: str, as_json: bool) -> int:
    """Ask an interpreter again what it has; exit code 1 when it can run nothing."""
    found = service.check(workspace().home, name)
    told(found, as_json)
    return 0 if found.health.engines else 1


@command.command("remove")
@click.argument("name")
@verb
def remove(name: str, as_json: bool) -> None:
    """Forget an interpreter; its files stay."""
    gone = service.remove(workspace().home, name)
    if as_json:
        show_json(as_object(gone))
    else:
        show(plain(f"{gone.name} is forgotten; {gone.python} is still there."))


def told(one: Environment, as_json: bool) -> None:
    """What an environment has and lacks."""
    if as_json:
        show_json(as_object(one))
        return
    health = one.health
    show(plain(f"{one.name}: {one.python}, Python {health.python}, checked {ago(now() - health.checked_at)}"))
    if health.error is not None:
        show(plain(f"  It does not work: {health.error}"))
        return
    for engine in ENGINES:
        missing = health.missing(engine)
        show(plain(f"  {engine}: " + (f"missing {', '.join(missing)}" if missing else "can run")))
    if health.version("verl") not in ("", VERL):
        show(plain(f"  verl {health.version('verl')} was never tried: lathe is made for {VERL}"))
    there = [f"{name} {health.version(name)}" for name in EXTRAS if health.version(name)]
    if there:
        show(plain(f"  also: {', '.join(there)}"))


def runs(one: Environment) -> str:
    """The engines that it can run, or why it can't."""
    if one.health.error is not None:
        return f"nothing: {one.health.error}"
    return ", ".join(one.health.engines) or "nothing"


def as_object(one: Environment) -> dict[str, object]:
    return {"name": one.name, "python": one.python, "runs": list(one.health.engines), **one.health.as_json()}

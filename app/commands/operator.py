"""`lathe options …`: what the operator of the workspace sets for everybody."""

from __future__ import annotations

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, plain, show, show_json, table
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.jobs.messages import validate
from platform_core.jobs.service import Rejected, current_user
from platform_core.options import service
from platform_core.options.spec import Options


@click.group("options", cls=Commands, help="See and set prices and where alerts are sent, for everybody.")
def command() -> None:
    """The password of the mail server is read from LATHE_SMTP_PASSWORD and is no option."""


@command.command("list")
@verb
def list_(as_json: bool) -> None:
    """List all options with their values, and who set them."""
    place = workspace()
    values, changes = service.current(place).model_dump(), service.changes(place)
    if as_json:
        show_json(values)
        return
    rows = []
    for name, value in values.items():
        set_by = changes.get(name)
        told = "" if set_by is None else f"{set_by.actor}, {ago(now() - set_by.since)}"
        rows.append([name, "" if value is None else str(value), told, Options.model_fields[name].title or ""])
    for line in table(["NAME", "VALUE", "SET BY", "WHAT"], rows):
        show(line)


@command.command("set")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE...")
@verb
def set_(changes: tuple[str, ...], as_json: bool) -> None:
    """Set options, all or none of them; an empty value sets the default again."""
    wanted: dict[str, str | None] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise click.UsageError(f"{plain(change)}: write it as name=value, for example core_hour_price=0.05.")
        if name not in Options.model_fields:
            raise Problem(
                "There is no option {name}; known are {known}.", name=name, known=", ".join(Options.model_fields)
            )
        wanted[name] = value or None
    place = workspace()
    merged = {**service.current(place).model_dump(), **wanted}
    options, findings = validate(Options, {n: v for n, v in merged.items() if v is not None})
    if options is None:
        raise Rejected([f for f in findings if f.forbids])
    service.change(place, wanted, current_user())
    if as_json:
        show_json(service.current(place).model_dump())
        return
    for name in wanted:
        show(f"{name} is {plain(getattr(options, name)) if wanted[name] is not None else 'the default again'}.")

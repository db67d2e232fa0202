"""`lathe report`: one job or several as a file to take along."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app.commands.options import verb, workspace
from app.commands.printing import show, show_json
from platform_core.errors import Problem
from platform_core.ids import new_id
from platform_core.reports.parts import Voice
from platform_core.reports.service import FORMATS, Format, render


@click.command("report")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--format", "wanted", type=click.Choice(FORMATS), help="What to make. [default: by the file's name, else html]"
)
@click.option("-o", "--output", metavar="FILE", help="Where to write it; `-` for standard output. [default: ID.FORMAT]")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@verb
def command(ids: tuple[str, ...], wanted: Format | None, output: str | None, force: bool, as_json: bool) -> None:
    """Write a report of a job, or of several side by side: HTML, PDF, or every point of every metric as CSV."""
    ending = Path(output or "").suffix.lstrip(".").lower()
    chosen: Format = wanted or next((f for f in FORMATS if f == ending), "html")
    pieces = render(workspace(), ids, chosen, Voice())
    if output == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    target = Path(output or f"{ids[0] if len(ids) == 1 else 'comparison'}.{chosen}")
    if target.exists() and not force:
        raise Problem("{path} is there already: choose another name, or replace it with --force.", path=str(target))
    part = target.with_name(f".{new_id()}.part")
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(target)
    except OSError as error:
        raise Problem(
            "{path} can't be written ({reason}); nothing was changed: free some space, or choose another place.",
            path=str(target),
            reason=error.strerror or str(error),
        ) from error
    finally:
        part.unlink(missing_ok=True)
    size = target.stat().st_size
    show_json({"path": str(target), "bytes": size}) if as_json else show(f"Wrote {target} ({size:,} bytes).")

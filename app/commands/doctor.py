"""`lathe doctor`: what this machine and the workspace have, and what is missing."""

from __future__ import annotations

import click

from app.commands.options import verb
from app.commands.printing import STATE_COLOURS, paint, plain, show, show_json
from platform_core.environment.checks import SIGNS
from platform_core.environment.service import report
from platform_core.settings import home_folder


@click.command("doctor")
@verb
def command(as_json: bool) -> int:
    """Check this machine and the workspace; exit code 1 when something keeps lathe from working."""
    made = report(home_folder())
    if as_json:
        show_json(made.as_json())
    else:
        for section in made.sections:
            show(paint(plain(section.name), 1))
            for check in section.checks:
                sign = paint(SIGNS[check.status], STATE_COLOURS[check.status])
                need = f" (needed: {plain(check.needed)})" if check.needed is not None and check.status != "ok" else ""
                show(f"  {sign} {plain(check.name)}: {plain(check.found)}{need}")
                if check.hint is not None:
                    show(f"      {plain(check.hint)}")
        words = {"ok": "All is well.", "warning": "It works; see the lines with !.", "problem": "See the lines with ✗."}
        show("\n" + words[made.status])
    return 1 if made.status == "problem" else 0

"""`lathe serve`: the web page, in this process."""

from __future__ import annotations

import click

from app.commands.options import verb
from app.commands.printing import show_json
from platform_core.workspace.page import PORT


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65_535), help="The port; 0 takes a free one."
)
@verb
def command(host: str, port: int, as_json: bool) -> int:
    """Serve the web page until Ctrl-C; jobs go on without it."""
    from app.main import serve

    if as_json:
        show_json({"host": host, "port": port})
    return serve(host, port)

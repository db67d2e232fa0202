"""Where the page of a workspace is served: its web server says so in `web.json`."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.files import read_json, write_json
from platform_core.jobs.processes import Identity, alive, me
from platform_core.root import ROOT

CARD = "web.json"
PORT = 8501
START_SECONDS = 20.0


def announce(home: Path, url: str) -> None:
    """Say that this process serves the page at `url`; a folder that can't be written keeps it untold."""
    with contextlib.suppress(OSError):
        write_json(home / CARD, {"url": url, "process": me().as_json()})


def address(home: Path) -> str | None:
    """The address of the page if a living server of this workspace has announced it."""
    card = read_json(home / CARD) or {}
    server = Identity.from_json(card.get("process"))
    return str(card["url"]) if server is not None and alive(server) else None


@contextmanager
def beside(home: Path) -> Iterator[str | None]:
    """An address for as long as something else goes on: of the server that is there, else of one started for it.

    None when none could be started; port 8501 when it is free, else another one.
    """
    there = address(home)
    if there is not None:
        yield there
        return
    server = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(PORT if _is_free(PORT) else 0)],
        cwd=ROOT,
        env={**os.environ, "PLATFORM_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is for us; we end it
    )
    try:
        yield _announced(home, server)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _announced(home: Path, server: subprocess.Popen[bytes]) -> str | None:
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        if (url := address(home)) is not None:
            return url
        try:
            server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        return None
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""The name of this host, and where what is kept about a host lies."""

from __future__ import annotations

import socket
from pathlib import Path

from platform_core.workspace.service import Workspace


def this_host() -> str:
    """The name under which this machine's jobs, samples and decisions are kept."""
    return socket.gethostname()


def folder(workspace: Workspace, host: str = "") -> Path:
    """Where the samples of a host and the decisions about it are, this one by default."""
    name = (host or this_host()).replace("/", "_")
    return workspace.home / "hosts" / (name if name.strip(".") else "_")

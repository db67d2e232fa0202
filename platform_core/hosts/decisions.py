"""Who kept what from jobs, and who gave it back: one line of JSON a decision, in the host's folder."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from platform_core.clock import now
from platform_core.hosts.place import folder
from platform_core.workspace.service import Workspace

FILE = "decisions.jsonl"
READ = 65_536
"""Bytes of the end of the file that are read; older decisions stay in it."""
Verb = Literal["reserve", "release", "drain", "undrain"]


@dataclass(frozen=True)
class Decision:
    """At `time`, `actor` did `verb`; `gpu` is a UUID, empty for the whole host."""

    time: float
    actor: str
    verb: Verb
    gpu: str = ""
    reason: str = ""


def note(workspace: Workspace, host: str, verb: Verb, actor: str, gpu: str = "", reason: str = "") -> None:
    """Add a decision that was made; a full disk loses the note and not the decision."""
    line = json.dumps(asdict(Decision(now(), actor, verb, gpu, reason)), ensure_ascii=False) + "\n"
    path = _file(workspace, host)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())  # one write: two people at once do not mix their lines
        finally:
            os.close(handle)


def decisions(workspace: Workspace, host: str = "", limit: int = 20) -> list[Decision]:
    """What was decided about a host, newest first; lines that can't be read are left out."""
    try:
        with _file(workspace, host).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - READ))
            lines = file.read().splitlines()
    except OSError:
        return []
    found: list[Decision] = []
    for line in reversed(lines):
        with suppress(ValueError, TypeError):
            found.append(Decision(**json.loads(line)))
        if len(found) == limit:
            break
    return found


def _file(workspace: Workspace, host: str) -> Path:
    return folder(workspace, host) / FILE

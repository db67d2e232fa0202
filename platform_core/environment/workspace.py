"""The workspace as it stands, looked at without making or changing anything, and the page's port."""

from __future__ import annotations

import fcntl
import http.client
import os
import socket
import tempfile
from pathlib import Path

from platform_core.database.engine import connect
from platform_core.database.migrate import revision_of, revisions
from platform_core.environment.checks import Check, value
from platform_core.environment.machine import existing
from platform_core.errors import Problem, text
from platform_core.settings import database_url
from platform_core.workspace.page import PORT

ANSWER_SECONDS = 0.15


def folder(home: Path) -> Check:
    """Whether the workspace can be written and locked."""
    if not home.exists():
        writable = os.access(existing(home), os.W_OK | os.X_OK)
        hint = text("{folder} can't be written: choose another place with PLATFORM_HOME.", folder=str(existing(home)))
        found = text("{home} (not made yet)", home=str(home))
        return Check(text("Folder"), found, "ok" if writable else "problem", None, None if writable else hint)
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        hint = text(
            "Files in it can't be written or locked ({reason}): mend its owner and permissions, or choose another "
            "folder with PLATFORM_HOME.",
            reason=error.strerror or str(error),
        )
        return Check(text("Folder"), value(home), "problem", None, hint)
    return Check(text("Folder"), value(home))


def database(home: Path) -> Check:
    """Whether the database answers, and whether this version knows its tables."""
    url = database_url(home)
    if url.startswith("sqlite") and not (home / "platform.db").exists():
        return Check(text("Database"), text("not made yet"))
    engine = connect(url, busy_seconds=0.2)
    try:
        found = revision_of(engine)
    except Problem as problem:
        return Check(text("Database"), text("does not answer"), "problem", None, problem.text)
    finally:
        engine.dispose()
    backend = engine.url.get_backend_name()
    head = revisions()[-1]
    shown = text("{backend}, tables of version {found}", backend=backend, found=found or "–")
    if found is not None and found not in revisions():
        hint = text("The workspace was made by a newer version of lathe: update lathe, or choose another workspace.")
        return Check(text("Database"), shown, "problem", value(head), hint)
    if found != head:
        hint = text("It is backed up and brought up to date when lathe next opens it.")
        return Check(text("Database"), shown, "ok", value(head), hint)
    return Check(text("Database"), shown)


def port(number: int = PORT, host: str = "127.0.0.1") -> Check:
    """Whether the page's port is free, or the page is already there."""
    name = text("Port {number}", number=number)
    with socket.socket() as probe:
        probe.settimeout(ANSWER_SECONDS)
        if probe.connect_ex((host, number)) != 0:
            return Check(name, text("free"))
    if answers(host, number):
        return Check(
            name,
            text("a lathe page (or another Streamlit page) is at http://{host}:{number}", host=host, number=number),
        )
    hint = text("Another program uses it: choose another port, lathe serve --port {other}.", other=number + 1)
    return Check(name, text("in use"), "warning", None, hint)


def answers(host: str, number: int) -> bool:
    """Whether a page is served at this address."""
    connection = http.client.HTTPConnection(host, number, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

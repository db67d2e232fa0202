"""See to it that a supervisor lives while the server does; pages say why when that does not work."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from platform_core.errors import Problem
from platform_core.jobs import supervision

log = logging.getLogger("lathe.server")
EVERY_SECONDS = 10.0
_last: list[Problem] = []


def last_problem() -> Problem | None:
    """Why no supervisor could be started at the last try; None when one lives."""
    return _last[0] if _last else None


async def watch_supervisor(home: Path) -> None:
    """Start a supervisor whenever none is alive, until cancelled."""
    said = ""
    while True:
        problem = await asyncio.to_thread(ensure, home)
        _last[:] = [] if problem is None else [problem]
        if problem is not None and str(problem) != said:
            log.error("%s", problem)
        said = str(problem or "")
        await asyncio.sleep(EVERY_SECONDS)


def ensure(home: Path) -> Problem | None:
    """Start a supervisor unless one is alive; the reason when that did not work."""
    try:
        supervision.ensure(home)
    except Problem as problem:
        return problem
    except OSError as error:
        return Problem(
            "The supervisor, which runs the jobs, can't be started: {reason}. Jobs wait until it can.",
            reason=error.strerror or str(error),
        )
    return None

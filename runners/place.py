"""The supervisor's own place in a workspace: its lock, the card that says who it is, and its log."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from platform_core.clock import monotonic, now
from platform_core.database.engine import is_of_database
from platform_core.environment.software import lathe_version
from platform_core.errors import Problem
from platform_core.jobs import processes
from platform_core.jobs.store import Job
from platform_core.jobs.supervision import CARD, LOG, read_card

LOCK = "supervisor.lock"
LOG_BYTES, LOG_COPIES = 2_000_000, 3
SAME_AGAIN_SECONDS = 60.0


class Taken(Problem):
    """Another supervisor has the workspace."""


@dataclass(frozen=True)
class Held:
    """The lock, held until this process ends, however it ends."""

    home: Path
    fd: int
    started_at: float

    def is_ours(self) -> bool:
        """Whether the workspace is still where it was; False once it was moved or deleted."""
        try:
            return os.stat(self.home / LOCK).st_ino == os.fstat(self.fd).st_ino
        except OSError:
            return False

    def beat(self, at: float) -> None:
        """Say who we are and that we live; a disk that is full is no reason to end."""
        card = processes.me().as_json() | {"started_at": self.started_at, "version": lathe_version(), "heartbeat": at}
        part = self.home / f".{CARD}.part"
        try:
            part.write_text(json.dumps(card))
            part.replace(self.home / CARD)
        except OSError as error:
            logging.getLogger("lathe.supervisor").warning("%s can't be written: %s", CARD, error)


def hold(home: Path) -> Held:
    """Become the one supervisor of a workspace; raises Taken, or Problem where files can't be locked."""
    fd = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        os.close(fd)
        who = read_card(home)
        raise Taken(
            "A supervisor of {home} is already running (pid {pid}).", home=str(home), pid=who.pid if who else "unknown"
        ) from error
    except OSError as error:
        os.close(fd)
        raise Problem(
            "Files in {home} can't be locked ({reason}): put the workspace on a file system with locks, "
            "such as a local disk.",
            home=str(home),
            reason=error.strerror or str(error),
        ) from error
    return Held(home, fd, now())


def log_path(home: Path) -> Path:
    return home / LOG


def log_to(home: Path) -> None:
    """Write what `lathe.…` loggers say to `supervisor.log`, in pieces of 2 MB, the last three kept."""
    handler = RotatingFileHandler(log_path(home), maxBytes=LOG_BYTES, backupCount=LOG_COPIES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("lathe")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.raiseExceptions = False  # a log on a full disk loses lines, nothing else


class Complaints:
    """Says each trouble once a minute, not at every turn, and keeps one job's trouble from the others."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: dict[str, float] = {}

    def say(self, who: str, error: BaseException) -> None:
        """Log a trouble; a Problem as its sentence, anything else with its traceback."""
        key = f"{who}: {type(error).__name__}: {error}"
        if monotonic() - self._said.get(key, -SAME_AGAIN_SECONDS) < SAME_AGAIN_SECONDS:
            return
        if len(self._said) > 1000:
            self._said.clear()
        self._said[key] = monotonic()
        if isinstance(error, Problem):
            self._log.warning("%s: %s", who, error)
        else:
            self._log.error("%s: unexpected", who, exc_info=error)

    def apart(self, job: Job, action: Callable[[Job], None]) -> None:
        """Do something for one job; trouble with it is logged, unless it is the database's, which all jobs share."""
        try:
            action(job)
        except Exception as error:
            if is_of_database(error):
                raise
            self.say(f"job {job.id}", error)

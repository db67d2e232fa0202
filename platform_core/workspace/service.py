"""A workspace: one folder with everything, and the database that annotates it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine

from platform_core.database.engine import connect
from platform_core.database.migrate import bring_up_to_date
from platform_core.errors import Problem
from platform_core.settings import database_url, home_folder

FOLDERS = ("models", "datasets", "jobs", "trash", "exports", "cache")


@dataclass(frozen=True)
class Workspace:
    """Where everything is: the folder and an engine for its database."""

    home: Path
    engine: Engine

    @property
    def jobs(self) -> Path:
        return self.home / "jobs"

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def trash(self) -> Path:
        return self.home / "trash"

    def job_folder(self, job_id: str) -> Path:
        return self.jobs / job_id

    @property
    def trash_of_jobs(self) -> Path:
        """The trash for what can't be renamed into `trash`: `jobs` may be on another disk, by a mount or a link."""
        return self.jobs / ".trash"


def open_workspace(home: Path | None = None, busy_seconds: float = 30.0) -> Workspace:
    """Open the workspace at `home` (default `PLATFORM_HOME`), made or migrated when needed.

    Raises Problem when the folder can't be used or was made by a newer version.
    """
    folder = (home or home_folder()).absolute()
    return _opened(folder, database_url(folder), busy_seconds, os.getpid())


@lru_cache(maxsize=8)
def _opened(home: Path, url: str, busy_seconds: float, pid: int) -> Workspace:
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name in FOLDERS:
            (home / name).mkdir(exist_ok=True)
    except OSError as error:
        raise Problem(
            "The workspace {home} can't be used: {reason}. Choose another folder with PLATFORM_HOME.",
            home=str(home),
            reason=error.strerror or str(error),
        ) from error
    with contextlib.suppress(OSError):
        home.chmod(0o700)
    workspace = Workspace(home, connect(url, busy_seconds))
    bring_up_to_date(workspace.engine, home)
    return workspace

"""Settings that come from the environment, read in one place."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder() -> Path:
    """The workspace: `PLATFORM_HOME`, default `./workspace`."""
    return Path(os.environ.get("PLATFORM_HOME") or "workspace").expanduser().absolute()


def database_url(home: Path) -> str:
    """`PLATFORM_DATABASE_URL`, default the workspace's own SQLite file."""
    return os.environ.get("PLATFORM_DATABASE_URL") or f"sqlite:///{home / 'platform.db'}"


def allowed_roots(home: Path) -> list[Path]:
    """Folders from which models and data may be read: the workspace and those of `PLATFORM_ROOTS`."""
    more = [Path(p).expanduser() for p in os.environ.get("PLATFORM_ROOTS", "").split(os.pathsep) if p]
    return [home, *more]

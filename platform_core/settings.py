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


def stop_grace_seconds() -> float:
    """How long a runner that was asked to stop may take before it is killed: `LATHE_STOP_GRACE`, default 30."""
    return _seconds("LATHE_STOP_GRACE", 30.0)


def supervisor_busy_seconds() -> float:
    """How long the supervisor waits for a locked database until it tries later: `LATHE_BUSY_SECONDS`, default 1."""
    return _seconds("LATHE_BUSY_SECONDS", 1.0)


def _seconds(name: str, default: float) -> float:
    try:
        found = float(os.environ.get(name, ""))
    except ValueError:
        return default
    return found if found >= 0 else default

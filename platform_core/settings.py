"""Settings that come from the environment: declared, described (for `docs/reference/settings.md`) and read here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variable:
    """One environment variable: what holds without it, and what it decides."""

    name: str
    default: str
    meaning: str

    def read(self) -> str:
        """Its value now; empty when it is not set."""
        return os.environ.get(self.name, "")

    def seconds(self) -> float:
        """Its value as a number of seconds; the default for what is no such number."""
        try:
            found = float(self.read())
        except ValueError:
            return float(self.default)
        return found if found >= 0 else float(self.default)


HOME = Variable("PLATFORM_HOME", "./workspace", "The workspace: the folder with everything; made when it is not there.")
DATABASE_URL = Variable(
    "PLATFORM_DATABASE_URL",
    "SQLite, `platform.db` in the workspace",
    "Where the rows of jobs are, as an SQLAlchemy URL: `postgresql+psycopg://user@host/name`.",
)
ROOTS = Variable(
    "PLATFORM_ROOTS",
    "none",
    "More folders from which models and datasets may be read, separated by `:`; the workspace always may.",
)
HOSTS = Variable(
    "PLATFORM_HOSTS",
    "none",
    "More names under which the page may be reached, separated by commas, such as the name of a reverse proxy.",
)
STOP_GRACE = Variable(
    "LATHE_STOP_GRACE", "30", "Seconds that a runner which was asked to stop may take before it is killed."
)
BUSY_SECONDS = Variable(
    "LATHE_BUSY_SECONDS", "1", "Seconds that the supervisor waits for a locked database before it tries later."
)
WARM = Variable(
    "LATHE_WARM",
    "all",
    "What the warm parent of runners has imported: `all` (torch, transformers, TRL), `frame` (our own part), or `0`: "
    "no warm parent, every runner starts cold.",
)
SMTP_PASSWORD = Variable(
    "LATHE_SMTP_PASSWORD", "none", "Password of the mail server that sends alerts; it is never stored nor shown."
)
JUDGE_HOSTS = Variable(
    "LATHE_JUDGE_HOSTS",
    "none",
    "Servers that rewards may ask to judge answers, as `host` or `host:port`, separated by commas; these may be inside "
    "the network, and none but these are asked. Empty: any server on the internet, without a key.",
)
JUDGE_LOGIN = Variable(
    "LATHE_JUDGE_LOGIN", "none", "A file that holds the key for those servers; it is sent to no other."
)
VARIABLES = (
    HOME,
    DATABASE_URL,
    ROOTS,
    HOSTS,
    STOP_GRACE,
    BUSY_SECONDS,
    WARM,
    SMTP_PASSWORD,
    JUDGE_HOSTS,
    JUDGE_LOGIN,
)


def home_folder() -> Path:
    """The workspace."""
    return Path(HOME.read() or "workspace").expanduser().absolute()


def database_url(home: Path) -> str:
    """The URL of the platform's database."""
    return DATABASE_URL.read() or f"sqlite:///{home / 'platform.db'}"


def allowed_roots(home: Path) -> list[Path]:
    """Folders from which models and data may be read: the workspace and those that the operator names."""
    return [home, *(Path(p).expanduser() for p in ROOTS.read().split(os.pathsep) if p)]


def more_hosts() -> set[str]:
    """Names of this server, lower case, beside localhost and the machine's own."""
    return {name.strip() for name in HOSTS.read().lower().split(",") if name.strip()}


def stop_grace_seconds() -> float:
    """How long a runner that was asked to stop may take before it is killed."""
    return STOP_GRACE.seconds()


def supervisor_busy_seconds() -> float:
    """How long the supervisor waits for a locked database until it tries later."""
    return BUSY_SECONDS.seconds()


def warm_parts() -> str:
    """What the warm parent loads: `all`, `frame`, or nothing, and then there is none."""
    return {"0": "", "frame": "frame"}.get(WARM.read(), "all")


def judge_hosts() -> set[str]:
    """Servers that rewards may ask, `host` or `host:port`, lower case."""
    return {name.strip() for name in JUDGE_HOSTS.read().lower().split(",") if name.strip()}


def judge_login() -> str:
    """The key for those servers, or nothing. Raises OSError when its file can't be read."""
    named = JUDGE_LOGIN.read()
    return Path(named).expanduser().read_text(encoding="utf-8").strip() if named else ""

"""Environments by name: `environments/<name>.json` in the workspace; the platform's own, `base`, is always there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from platform_core.clock import now
from platform_core.environments.health import ENGINES, Health, ask, kept, normal
from platform_core.errors import Problem
from platform_core.files import read_json, write_json
from platform_core.security.paths import check_name

BASE = "base"
FOLDER = "environments"


@dataclass(frozen=True)
class Environment:
    """An interpreter, who added it and when, and what it said of itself last."""

    name: str
    python: str
    health: Health
    actor: str = ""
    added_at: float = 0.0

    @property
    def is_base(self) -> bool:
        return self.name == BASE


def environments(home: Path) -> list[Environment]:
    """All, the base first, the others by name."""
    found = (read(home, path.stem) for path in sorted((home / FOLDER).glob("*.json")))
    return [base(), *(one for one in found if one is not None)]


def get(home: Path, name: str | None) -> Environment:
    """The environment called `name`, the base for none; raises Problem naming the known ones."""
    if not name or name == BASE:
        return base()
    found = read(home, name) if name == os.path.basename(name) else None
    if found is None:
        raise Problem(
            "There is no environment called “{name}”; known are {known}. Add one: lathe environments add NAME PYTHON.",
            fields=("environment",),
            name=name[:80],
            known=", ".join(one.name for one in environments(home)),
        )
    return found


def add(home: Path, name: str, python: str, actor: str = "") -> Environment:
    """Register an interpreter by its path and ask what it has. Raises Problem for what is no Python that works."""
    check_name(name)
    if name == BASE or read(home, name) is not None:
        raise Problem("There is an environment called “{name}” already: choose another name.", name=name)
    path = Path(python).expanduser()
    if not path.is_absolute():
        raise Problem("{path} is no whole path: give it from the root, such as /opt/verl/bin/python.", path=python)
    if path.is_dir() and (path / "bin" / "python").exists():
        path = path / "bin" / "python"
    if not path.is_file() or not os.access(path, os.X_OK):
        raise Problem("{path} is no program that can be run: give the path of a Python.", path=str(path))
    made = Environment(name, str(path), ask(path), actor, now())
    if made.health.error is not None:
        raise Problem("{path} can't be used: {reason}.", path=str(path), reason=made.health.error)
    write(home, made)
    return made


def check(home: Path, name: str) -> Environment:
    """Ask an environment again what it has."""
    found = get(home, name)
    if found.is_base:
        return found
    asked = replace(found, health=ask(Path(found.python)))
    write(home, asked)
    return asked


def remove(home: Path, name: str) -> Environment:
    """Forget an environment; its files stay where they are."""
    found = get(home, name)
    if found.is_base:
        raise Problem("The base environment is the platform's own and can't be removed.")
    (home / FOLDER / f"{found.name}.json").unlink(missing_ok=True)
    return found


def require(environment: Environment, engine: str) -> None:
    """Raise Problem when an environment can't run an engine, with what it lacks and the way out."""
    health = environment.health
    if health.error is not None:
        raise Problem(
            "The environment {name} does not work: {reason}. Mend it, then run lathe environments check {name}.",
            fields=("environment",),
            name=environment.name,
            reason=health.error,
        )
    if engine in health.engines or engine not in ENGINES:
        return
    missing = ", ".join(health.missing(engine)) or f"Python 3.11 (it has {health.python})"
    if environment.is_base and engine == "verl":
        raise Problem(
            "verl is not installed here (missing: {missing}): run `make setup-verl`, or choose an environment that has "
            "it.",
            fields=("engine", "environment"),
            missing=missing,
        )
    raise Problem(
        "The environment {name} can't run {engine}: it lacks {missing}. Install that, then run lathe environments "
        "check {name}, or choose another.",
        fields=("environment",),
        name=environment.name,
        engine=engine,
        missing=missing,
    )


def interpreter(home: Path, name: str | None, engine: str) -> str:
    """The Python that runs a job; raises Problem when the environment is gone or can't run the engine."""
    found = get(home, name)
    if not found.is_base or engine != "hf":  # what the platform itself runs on is the report's to judge, not a job's
        require(found, engine)
    return found.python


def base() -> Environment:
    """The interpreter that runs the platform, and what it has now."""
    return _base(stamp(sys.executable))


def stamp(python: str) -> float:
    """When the packages of an interpreter last changed, as far as its folder tells."""
    folder = Path(python).absolute().parent.parent
    try:
        return max(os.stat(place).st_mtime for place in (folder, *folder.glob("lib/python*/site-packages")))
    except OSError:
        return 0.0


@lru_cache(maxsize=1)
def _base(stamped: float) -> Environment:
    packages = {normal(str(d.metadata["Name"])): d.version for d in metadata.distributions() if d.metadata["Name"]}
    return Environment(BASE, sys.executable, Health(sys.version.split()[0], kept(packages), now()))


def read(home: Path, name: str) -> Environment | None:
    data = read_json(home / FOLDER / f"{name}.json")
    if data is None or not isinstance(data.get("python"), str):
        return None
    health = data.get("health")
    return Environment(
        name=name,
        python=str(data["python"]),
        health=Health.from_json(health if isinstance(health, dict) else {}),
        actor=str(data.get("actor") or ""),
        added_at=float(str(data.get("added_at") or 0.0)),
    )


def write(home: Path, made: Environment) -> None:
    write_json(
        home / FOLDER / f"{made.name}.json",
        {
            "name": made.name,
            "python": made.python,
            "actor": made.actor,
            "added_at": made.added_at,
            "health": made.health.as_json(),
        },
    )

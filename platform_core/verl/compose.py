"""Settings checked against verl's own config, as a job's interpreter has it: a misspelt key never reaches a GPU."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from platform_core.environments.service import stamp
from platform_core.errors import Problem
from platform_core.verl.override import Later, Override, Value, check_keys

PROGRAM = Path(__file__).resolve().parents[2] / "runners" / "engines" / "verl" / "compose.py"
SECONDS = 60.0
GROUPS = ("engine", "optim", "model_engine")
"""Keys that choose a part of the config; the others set a value in it."""


def check(python: str, config: str, overrides: Sequence[Override], typed: Sequence[str] = ()) -> None:
    """Raise Problem for the first key that verl does not have; `typed` are a person's own overrides.

    The config's keys are read once for each interpreter, so that a form can ask at every keystroke.
    """
    chosen = tuple(str(o) for o in overrides if o.key in GROUPS)
    known = known_keys(python, stamp(python), config, chosen)
    check_keys([str(o) for o in overrides], known)
    check_keys(typed, known)


def compose(python: str, config: str, overrides: Sequence[Override], typed: Sequence[str] = ()) -> dict[str, Any]:
    """The whole config as verl will see it. Raises Problem when verl would not take it."""
    return _run(python, config, [*(str(Override(o.key, now(o.value), o.adds)) for o in overrides), *typed])


def now(value: Value) -> Value:
    """A value with what is counted later set to 1."""
    return 1 if isinstance(value, Later) else value


@lru_cache(maxsize=32)
def known_keys(python: str, version: float, config: str, chosen: tuple[str, ...]) -> frozenset[str]:
    """All keys of a config of verl, the groups' names among them. Raises Problem when it can't be composed."""
    return frozenset([*_keys(_run(python, config, list(chosen))), *GROUPS])


def _keys(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def _run(python: str, config: str, overrides: Sequence[str]) -> dict[str, Any]:
    asked = json.dumps({"config": config, "overrides": list(overrides)})
    try:
        ran = subprocess.run(
            [python, "-I", str(PROGRAM)], input=asked, capture_output=True, text=True, timeout=SECONDS, check=True
        )
        said = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Problem(
            "verl's config can't be composed by {python}: {reason}. Check it with `lathe environments check`.",
            fields=("environment",),
            python=python,
            reason=_reason(error),
        ) from error
    if "missing" in said:
        raise Problem(
            "The interpreter {python} has no {package}: run `make setup-verl`, or choose another environment.",
            fields=("engine", "environment"),
            python=python,
            package=said["missing"],
        )
    if "error" in said:
        first = " ".join(str(said["error"]).split())[:300]
        raise Problem("verl refuses these settings: {reason}", fields=("verl_overrides",), reason=first)
    composed: dict[str, Any] = said["config"]
    return composed


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.strip()]
        return lines[-1][:200] if lines else f"exit code {error.returncode}"
    return str(error)[:200]

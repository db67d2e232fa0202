"""The one path resolver: a path from a person stays inside the allowed roots, symlinks resolved."""

from __future__ import annotations

import os
import re
from pathlib import Path

from platform_core.errors import Problem

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")


def check_name(name: str) -> str:
    """A file or folder name that is safe as one path component; raises Problem."""
    if not NAME.match(name) or name.endswith("."):
        raise Problem(
            "“{name}” can't be a name here: use letters, digits, dot, dash and underscore, "
            "and start with a letter or digit.",
            name=name[:80],
        )
    return name


def resolve_inside(path: str | Path, roots: list[Path]) -> Path:
    """The real path of `path` if it exists inside one of `roots`; raises Problem.

    Relative paths start at the first root.
    """
    text = str(path)
    if "\x00" in text:
        raise Problem("The path holds a NUL character: give a plain path.")
    candidate = Path(text).expanduser()
    real = Path(os.path.realpath(candidate if candidate.is_absolute() else roots[0] / candidate))
    if not any(real == root or root in real.parents for root in (Path(os.path.realpath(r)) for r in roots)):
        raise Problem(
            "{path} is outside the folders that this workspace may read ({roots}): move it there, "
            "or add its folder to PLATFORM_ROOTS.",
            path=text,
            roots=", ".join(str(r) for r in roots),
        )
    if not real.exists():
        raise Problem("{path} does not exist: check the spelling.", path=text)
    return real

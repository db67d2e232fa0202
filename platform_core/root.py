"""The folder that holds this program's own code, and how a process that is started finds it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def python_path(given: str) -> str:
    """A `PYTHONPATH` in which our code comes first, before what `given`, the one so far, names."""
    return os.pathsep.join([str(ROOT), *(p for p in given.split(os.pathsep) if p and p != str(ROOT))])

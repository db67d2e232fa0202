"""Where the Ray of a job keeps sockets, logs and spilled objects: outside of the job's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

PLACE = Path("/tmp")
"""Ray's sockets lie below, and the path of a Unix socket has room for 107 characters."""


def ray_folder(job_folder: Path, attempt: int) -> Path:
    """The folder of one attempt's Ray."""
    return PLACE / f"{_name(job_folder)}.{attempt}"


def ray_folders(job_folder: Path) -> Iterator[Path]:
    """What the attempts of a job have left there: nothing, unless a runner was killed."""
    return PLACE.glob(f"{_name(job_folder)}.*")


def _name(job_folder: Path) -> str:
    return f"lathe-ray-{hashlib.sha256(str(job_folder).encode()).hexdigest()[:12]}"

"""Folders of deleted jobs: into the trash and out of it again, also where `jobs` is on a disk of its own."""

from __future__ import annotations

import errno
from pathlib import Path

from platform_core.clock import now
from platform_core.files import move_whole
from platform_core.workspace.service import Workspace


def put(workspace: Workspace, folder: Path, kind: str = "jobs") -> Path:
    """Move a folder to the trash on its own disk, which takes a moment however large it is. Raises OSError."""
    target = workspace.trash / kind / folder.name
    try:
        return _rename(folder, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    return _rename(folder, workspace.trash_of_jobs / kind / folder.name)


def take_back(workspace: Workspace, job_id: str) -> None:
    """Move a job's folder to where it was; copied whole when that is on another disk by now. Raises OSError."""
    folder = workspace.job_folder(job_id)
    for place in (workspace.trash, workspace.trash_of_jobs):
        source = place / "jobs" / job_id
        if source.exists() and not folder.exists():
            move_whole(source, folder)


def _rename(folder: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # a copy out of the trash was cut off before it was removed here
        target.replace(target.with_name(f"{target.name}.{int(now())}"))
    return folder.replace(target)

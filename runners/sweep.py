"""Clear away what a dead process left half done: parts of outputs and checkpoints, and job folders without a row."""

from __future__ import annotations

import logging
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from platform_core.database.engine import reading
from platform_core.database.tables import jobs
from platform_core.ids import is_id
from platform_core.jobs import trash
from platform_core.jobs.states import ACTIVE
from platform_core.verl.ray_folder import ray_folders
from platform_core.workspace.service import Workspace

log = logging.getLogger("lathe.supervisor")
OLD = 3600.0
EVERY = 3600.0


class Sweeper:
    """Deletes in a thread of its own, since a half checkpoint may be many gigabytes; moves are done at once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.aside = workspace.home / "cache" / "swept"
        self._wanted = threading.Event()
        threading.Thread(target=self._run, name="sweeper", daemon=True).start()

    def clear_job(self, folder: Path, older_than: float | None = None) -> int:
        """Take every half-written part of a job that has no process out of sight; how many there were."""
        found = list(parts(folder) if older_than is None else self._older(parts(folder), older_than))
        for part in found:
            try:
                self.aside.mkdir(parents=True, exist_ok=True)
                part.replace(self.aside / uuid.uuid4().hex)
            except OSError:  # the job's folder is on another disk, or this one is full: a job must be settled anyhow
                remove_part(part)
        if found:
            self._wanted.set()
        return len(found)

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            except Exception:
                log.exception("the sweep ended early")
            while self._wanted.wait(EVERY):
                self._wanted.clear()
                self._delete_aside()

    def sweep(self) -> None:
        """Go through all job folders; what is younger than an hour, or belongs to a job with a process, stays."""
        self._delete_aside()
        with reading(self.workspace.engine) as connection:
            states = {row.id: row.state for row in connection.execute(select(jobs.c.id, jobs.c.state))}
        for folder in sorted(self.workspace.jobs.iterdir()):
            if not is_id(folder.name) or not folder.is_dir():
                continue
            if folder.name not in states:
                self._put_into_trash(folder)
            elif states[folder.name] not in ACTIVE and self.clear_job(folder, OLD):
                log.info("swept half-written parts of %s", folder.name)
        self._delete_aside()

    def _delete_aside(self) -> None:
        for path in self.aside.glob("*"):
            remove_part(path)

    def _put_into_trash(self, folder: Path) -> None:
        if not self._older([folder], OLD):
            return
        target = trash.put(self.workspace, folder, "orphans")
        log.warning("%s has no row in the database: moved to %s", folder, target)

    def _older(self, paths: Iterable[Path], seconds: float) -> list[Path]:
        """What was last changed so long ago, by the clock that stamps the files: this machine's may have jumped."""
        paths, stamp = list(paths), self.aside / uuid.uuid4().hex
        if not paths:
            return []
        try:
            self.aside.mkdir(parents=True, exist_ok=True)
            stamp.touch()
            at = stamp.stat().st_mtime
            return [path for path in paths if at - path.lstat().st_mtime >= seconds]
        except OSError:  # no room for a file, or one went meanwhile: nothing is old enough to be sure
            return []
        finally:
            remove_part(stamp)


def remove_part(part: Path) -> None:
    """Delete what is half written where it lies; what can't be deleted stays hidden."""
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
        return
    with suppress(OSError):
        part.unlink()


def parts(folder: Path) -> Iterator[Path]:
    """What is half written in a job's folder, where visible names never are; and what a Ray of its left elsewhere."""
    for place in (folder, folder / "checkpoints"):
        for pattern in (".*.part", ".*.old"):
            yield from place.glob(pattern)
    yield from ray_folders(folder)

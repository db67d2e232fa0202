"""What people mark jobs with, to find them again: star, tags, a note, the archive, a group."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.errors import Problem
from platform_core.jobs import store
from platform_core.jobs.service import get
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

LONGEST_TAG, LONGEST_NOTE, LONGEST_GROUP, MOST_TAGS = 40, 10_000, 200, 30


def star(workspace: Workspace, job_id: str, starred: bool = True) -> Job:
    """Put a star on a job, or take it off."""
    return _write(workspace, get(workspace, job_id), starred=starred)


def tag(workspace: Workspace, job_id: str, add: Sequence[str], remove: Sequence[str] = ()) -> Job:
    """Add and remove tags; those that are there, or not there, already change nothing. Raises Problem."""
    added, removed = [clean_tag(t) for t in add], {clean_tag(t) for t in remove}
    wanted = get(workspace, job_id)
    with writing(workspace.engine) as connection:
        job = store.get_job(connection, wanted.id, lock=True) or wanted
        tags = [t for t in dict.fromkeys([*job.tags, *added]) if t not in removed]
        if len(tags) > MOST_TAGS:
            raise Problem("“{name}” has {n} tags already: remove some first.", name=job.name, n=MOST_TAGS)
        store.update_job(connection, job.id, tags=tags or None)
    return get(workspace, wanted.id)


def write_note(workspace: Workspace, job_id: str, note: str) -> Job:
    """Replace a job's note, plain text; an empty one removes it. Raises Problem when it is too long."""
    if len(note) > LONGEST_NOTE:
        raise Problem(
            "The note has {n} characters and may have {limit}: shorten it.", n=f"{len(note):,}", limit=LONGEST_NOTE
        )
    return _write(workspace, get(workspace, job_id), note=note.strip().replace("\x00", "") or None)


def archive(workspace: Workspace, job_id: str, archived: bool = True) -> Job:
    """Take a job out of the lists, or back into them; it goes on as it was, and nothing of it is deleted."""
    job = get(workspace, job_id)
    return _write(workspace, job, archived_at=(job.archived_at or now()) if archived else None)


def set_group(workspace: Workspace, job_id: str, group: str) -> Job:
    """Put a job into a group, or with "" into none. Raises Problem for the demo's jobs, which belong together."""
    job, wanted = get(workspace, job_id), _one_line(group)
    if len(wanted) > LONGEST_GROUP:
        raise Problem(
            "The name of a group has at most {limit} characters: shorten “{name}…”.",
            limit=LONGEST_GROUP,
            name=wanted[:30],
        )
    if str(job.group_name).startswith("demo-") or wanted.startswith("demo-"):
        raise Problem("“{name}” can't change its group: groups named demo-… belong to the demo.", name=job.name)
    return _write(workspace, job, group_name=wanted or None)


def put_back(workspace: Workspace, before: Job) -> Job:
    """Undo: give a job the star, tags, note, archive and group that it had in `before`."""
    columns = ("starred", "note", "archived_at", "group_name")
    kept = {name: getattr(before, name) for name in columns}
    return _write(workspace, before, tags=before.tags or None, **kept)


def tags_in_use(workspace: Workspace) -> list[str]:
    """All tags that jobs have, sorted."""
    with reading(workspace.engine) as connection:
        return sorted({t for tags in store.tags_of(connection) for t in tags})


def clean_tag(tag: str) -> str:
    """A tag as it is kept: one line in lower case, so that a tag is found however it is typed. Raises Problem."""
    made = _one_line(tag).lower()
    if not made or len(made) > LONGEST_TAG or "," in made:
        raise Problem(
            "“{tag}” can't be a tag: a tag has 1 to {limit} characters and no comma.",
            tag=made[: LONGEST_TAG + 1],
            limit=LONGEST_TAG,
        )
    return made


def _one_line(text: str) -> str:
    hidden = re.sub(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+", " ", text)
    return " ".join(unicodedata.normalize("NFC", hidden).split())


def _write(workspace: Workspace, job: Job, **columns: Any) -> Job:
    with writing(workspace.engine) as connection:
        store.update_job(connection, job.id, **columns)
    return get(workspace, job.id)

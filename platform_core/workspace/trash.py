"""The trash of datasets and rewards: each in a folder of its own, `trash/<id>/`, with an entry that says what it was.

Jobs go another way, `platform_core/jobs/trash.py`: they keep their row, and may be on another disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platform_core import files
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.ids import is_id, new_id
from platform_core.security.paths import check_name

Kind = Literal["dataset", "reward"]


@dataclass(frozen=True)
class TrashEntry:
    """Something deleted that can be restored; `size_bytes` is 0 for what nobody measured."""

    id: str
    name: str
    deleted_at: float
    size_bytes: int = 0


def place(home: Path, entry: TrashEntry) -> Path:
    """Where the deleted thing itself is."""
    return home / "trash" / entry.id / entry.name


def new_entry(home: Path, kind: Kind, item: Path, size_bytes: int = 0) -> TrashEntry:
    """A place in the trash for `item`, a file or folder of the workspace; it is still where it was."""
    entry = TrashEntry(new_id(), item.name, now(), size_bytes)
    data = {"kind": kind, "id": entry.id, "name": entry.name, "deleted_at": entry.deleted_at}
    data |= {"size_bytes": size_bytes, "from": str(item.relative_to(home))}
    files.write_json(_file(home, kind, entry.id), data)
    return entry


def put(home: Path, kind: Kind, item: Path, size_bytes: int = 0) -> TrashEntry:
    """Move a file or folder of the workspace into the trash, whole; raises Problem when it is gone already."""
    entry = new_entry(home, kind, item, size_bytes)
    try:
        files.move_whole(item, place(home, entry))
    except FileNotFoundError:
        _forget(home, kind, entry)
        raise Problem("“{name}” was just deleted by someone else.", name=item.name) from None
    return entry


def entries(home: Path, kind: Kind) -> list[TrashEntry]:
    """What of a kind is in the trash, the latest first."""
    found = [find(home, kind, file.parent.name) for file in (home / "trash").glob(f"*/{kind}.json")]
    return sorted((e for e in found if e is not None), key=lambda e: -e.deleted_at)


def find(home: Path, kind: Kind, entry_id: str) -> TrashEntry | None:
    """One entry, if it can be restored."""
    data = files.read_json(_file(home, kind, entry_id)) if is_id(entry_id) else None
    try:
        entry = TrashEntry(
            entry_id,
            check_name(str((data or {})["name"])),
            float(str((data or {})["deleted_at"])),
            int(str((data or {}).get("size_bytes", 0))),
        )
    except (KeyError, ValueError, Problem):
        return None
    return entry if place(home, entry).exists() else None


def take_back(home: Path, kind: Kind, entry: TrashEntry, target: Path) -> None:
    """Move what was deleted to `target`, where nothing may be, and forget the entry."""
    files.move_whole(place(home, entry), target)
    _forget(home, kind, entry)


def _file(home: Path, kind: Kind, entry_id: str) -> Path:
    return home / "trash" / entry_id / f"{kind}.json"


def _forget(home: Path, kind: Kind, entry: TrashEntry) -> None:
    _file(home, kind, entry.id).unlink()
    place(home, entry).parent.rmdir()

"""Files become visible only when whole: temporary sibling, fsync, rename."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Write `data` so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
            f.flush()
            os.fsync(f.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=1))


def read_json(path: Path) -> dict[str, object] | None:
    """The object in a JSON file, or None when it is missing or not an object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make what was written to a file survive a power cut; of a link nothing is written."""
    if not path.is_symlink():
        sync_folder(path)


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below `folder`."""
    for root, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(root, name))
        sync_folder(Path(root))


def publish(part: Path, target: Path) -> None:
    """Rename a finished folder into place, replacing what an earlier attempt left there."""
    sync_tree(part)
    if target.exists():
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.replace(old)
        part.replace(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        part.replace(target)
    sync_folder(target.parent)


def remove_whole(folder: Path) -> None:
    """Delete a folder or file so that a reader sees all of it or nothing, also when we are killed half-way."""
    old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    try:
        folder.replace(old)
    except FileNotFoundError:
        return
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def move_whole(source: Path, target: Path) -> None:
    """Rename a file or folder, also to another disk: there it is copied, and seen only when whole. Raises OSError.

    When we are killed half-way both are there, each whole, and moving again ends it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_over(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _copy_over(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, part, symlinks=True)
            publish(part, target)
        else:
            shutil.copy2(source, part, follow_symlinks=False)
            sync_file(part)
            part.replace(target)
    except BaseException:
        remove_whole(part)
        raise
    sync_folder(target.parent)  # before the only other copy goes
    remove_whole(source)


def folder_size(folder: Path) -> int:
    """Bytes of disk that all files below `folder` take, holes left out; files that vanish meanwhile take nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total


def signature(*paths: Path) -> tuple[int, ...]:
    """Times (ns) and sizes of files, zeros for one that is missing: it changes when any of them is written."""
    found: list[int] = []
    for path in paths:
        try:
            stat = os.stat(path)
            found += (stat.st_mtime_ns, stat.st_size)
        except OSError:
            found += (0, 0)
    return tuple(found)

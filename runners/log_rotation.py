"""Long logs get smaller without losing a line: what is older is packed into segments, and its place in the file freed.

A runner writes straight into `log.txt`, so that neither keeper nor supervisor has to live for it; renaming the file
would not part it from the file, and a pipe would need a living reader. So the file keeps its name and its offsets:
every `SEGMENT` bytes are written to `log.000n.gz` (whole, synced, read again), and only then a hole is punched where
they were. Where the file system has no holes, nothing is packed and nothing is freed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gzip
import logging
import os
import queue
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.files import sync_folder
from platform_core.logs.file import MEMBER, SEGMENT, pack, segment_path

log = logging.getLogger("lathe.supervisor")
KEPT = 8 * 1024 * 1024
"""Bytes at the end that are never packed: readers that look at the end alone need no segment."""
LOOK_EVERY = 2.0
KEEP_SIZE, PUNCH_HOLE = 1, 2


class Rotation:
    """Packs logs in a thread of its own, since a segment takes a second."""

    def __init__(self) -> None:
        self._looked: dict[Path, float] = {}
        self._wanted: queue.SimpleQueue[Path] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="log rotation", daemon=True).start()

    def look(self, path: Path, ended: bool = False) -> None:
        """Have the log of an attempt packed where it has grown long; costs next to nothing while it runs."""
        if not ended and monotonic() - self._looked.get(path, -LOOK_EVERY) < LOOK_EVERY:
            return
        if len(self._looked) > 1000:
            self._looked.clear()
        self._looked[path] = monotonic()
        with contextlib.suppress(OSError):
            if path.stat().st_size >= SEGMENT + KEPT:
                self._wanted.put(path)

    def _run(self) -> None:
        while True:
            path = self._wanted.get()
            try:
                rotate(path)
            except OSError as error:
                log.warning("%s was not packed: %s", path, error)
            except Exception:
                log.exception("%s was not packed", path)


def rotate(path: Path) -> int:
    """Pack what is older than the newest bytes of a log; how many segments were made. Raises OSError."""
    made = 0
    with path.open("r+b") as file:
        for number in _due(path, os.fstat(file.fileno()).st_size):
            start = (number - 1) * SEGMENT
            if not _is_hole(file.fileno(), start):
                if not segment_path(path, number).exists():
                    if not _has_holes(path.parent):
                        return made
                    _write_segment(file.fileno(), path, number)
                    made += 1
                _punch(file.fileno(), start, SEGMENT)
    return made


def _due(path: Path, size: int) -> Iterator[int]:
    number = 1
    while number * SEGMENT + KEPT <= size:
        yield number
        number += 1


def _is_hole(file: int, start: int) -> bool:
    """Whether a segment's place holds no byte any more."""
    try:
        return os.lseek(file, start, os.SEEK_DATA) >= start + SEGMENT
    except OSError as error:
        return error.errno == errno.ENXIO


def _write_segment(file: int, path: Path, number: int) -> None:
    target, start = segment_path(path, number), (number - 1) * SEGMENT
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as packed:
            for at in range(start, start + SEGMENT, MEMBER):
                packed.write(pack(os.pread(file, MEMBER, at)))
            packed.flush()
            os.fsync(packed.fileno())
        with gzip.open(part) as again:
            if any(again.read(MEMBER) != os.pread(file, MEMBER, at) for at in range(start, start + SEGMENT, MEMBER)):
                raise OSError(errno.EIO, "its segment is not what was written", str(target))
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _has_holes(folder: Path) -> bool:
    """Whether this file system can free a part of a file."""
    probe = folder / f".hole.{uuid.uuid4().hex[:8]}.part"
    try:
        with probe.open("wb") as file:
            file.write(bytes(2 * 4096))
            file.flush()
            return _punch(file.fileno(), 0, 4096)
    finally:
        probe.unlink(missing_ok=True)


def _punch(file: int, start: int, count: int) -> bool:
    """Free a part of a file; False where that can't be done."""
    try:
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
    except AttributeError:
        return False
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return bool(fallocate(file, KEEP_SIZE | PUNCH_HOLE, start, count) == 0)

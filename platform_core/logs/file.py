"""A job's log as one run of bytes, wherever they are: in `log.txt`, or in segments into which the older were packed.

Segment n, `log.000n.gz` beside `log.txt`, holds the bytes from (n-1) * `SEGMENT` to n * `SEGMENT`: a gzip file (`zcat`
reads it) of members of `MEMBER` bytes each, with its length in an extra field, so that any part is read without the
rest. Their place in `log.txt` is a hole: offsets stay what they were, and the runner goes on appending.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

SEGMENT = 64 * 1024 * 1024
MEMBER = 256 * 1024
HEADER = struct.Struct("<4sI2sH2sHI")
"""Magic, method and flags; time; compression and system; length of the extra field; its name, length and value."""
MAGIC, EXTRA = b"\x1f\x8b\x08\x04", b"LT"
LEVEL = 3


def segment_path(log: Path, number: int) -> Path:
    """Where segment `number`, counted from 1, of a log lies."""
    return log.with_name(f"{log.stem}.{number:04d}.gz")


def pack(piece: bytes) -> bytes:
    """One gzip member that says how long it is."""
    squeezed = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    body = squeezed.compress(piece) + squeezed.flush()
    length = HEADER.size + len(body) + 8
    header = HEADER.pack(MAGIC, 0, b"\x00\x03", 8, EXTRA, 4, length)
    return header + body + struct.pack("<II", zlib.crc32(piece), len(piece))


class LogFile:
    """A log that is open for reading; a part that is packed away meanwhile is found in its segment.

    `size` in bytes is that of the moment of opening. Raises OSError, also for a damaged segment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size
        self._members: dict[int, list[int]] = {}
        self._last: tuple[int, bytes] = (-1, b"")

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def grown(self) -> int:
        """The size now."""
        self.size = os.fstat(self._file.fileno()).st_size
        return self.size

    def read(self, start: int, count: int) -> bytes:
        """The bytes from `start` on, `count` or, at the end, fewer."""
        pieces = []
        while count > 0:
            number, within = divmod(start, SEGMENT)
            wanted = min(count, SEGMENT - within)
            piece = self._read_within(number + 1, start, wanted)
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
            if len(piece) < wanted:
                break
        return b"".join(pieces)

    def pieces(self) -> Iterator[bytes]:
        """All that was there at the opening, piece by piece."""
        at = 0
        while at < self.size:
            piece = self.read(at, min(MEMBER, self.size - at))
            if not piece:
                return
            yield piece
            at += len(piece)

    def _read_within(self, number: int, start: int, count: int) -> bytes:
        packed = segment_path(self.path, number)
        if number not in self._members and not packed.exists():
            piece = os.pread(self._file.fileno(), count, start)
            if not packed.exists():  # a segment is there before its bytes go: what was read is right
                return piece
        found = b""
        while len(found) < count:
            member, skipped = divmod(start + len(found), MEMBER)
            found += self._member(packed, number, member)[skipped : skipped + count - len(found)]
        return found

    def _member(self, packed: Path, number: int, member: int) -> bytes:
        if self._last[0] != member:
            with packed.open("rb") as file:
                if number not in self._members:
                    self._members[number] = list(_offsets(file.fileno(), packed))
                offsets = self._members[number]
                at = member - (number - 1) * (SEGMENT // MEMBER)
                try:
                    piece = zlib.decompress(
                        os.pread(file.fileno(), offsets[at + 1] - offsets[at], offsets[at]), zlib.MAX_WBITS | 16
                    )
                except (zlib.error, IndexError) as error:
                    raise _damaged(packed) from error
            if len(piece) != MEMBER:
                raise _damaged(packed)
            self._last = member, piece
        return self._last[1]


def _offsets(file: int, packed: Path) -> Iterator[int]:
    """Where each member of a segment begins, and where the last one ends."""
    at, size = 0, os.fstat(file).st_size
    while at < size:
        yield at
        header = os.pread(file, HEADER.size, at)
        if len(header) < HEADER.size or header[:4] != MAGIC:
            raise _damaged(packed)
        length = HEADER.unpack(header)[6]
        if length <= HEADER.size:
            raise _damaged(packed)
        at += length
    yield at


def _damaged(packed: Path) -> OSError:
    return OSError(5, "This part of the log is damaged", str(packed))

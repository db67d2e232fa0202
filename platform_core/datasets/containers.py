"""Opens a data file by its content: plain, gzip, zstd or zip; refuses what is no data, and archives that unpack
without end."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import zstandard

from platform_core.datasets.rows import MEGABYTE, Limits
from platform_core.errors import Problem, text

DATA_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet")
PACKED_SUFFIXES = (".gz", ".zst")
HEAD_BYTES = MEGABYTE
BLOCK = MEGABYTE

# First bytes of files that are often renamed or mixed up with data.
FOREIGN = (
    (b"\x89PNG\r\n\x1a\n", text("a PNG image")),
    (b"\xff\xd8\xff", text("a JPEG image")),
    (b"GIF8", text("a GIF image")),
    (b"%PDF", text("a PDF document")),
    (b"\x7fELF", text("a program")),
    (b"MZ\x90", text("a program")),
    (b"SQLite format 3\x00", text("an SQLite database")),
    (b"ARROW1", text("an Arrow file")),
    (b"GGUF", text("a GGUF model")),
    (b"\x93NUMPY", text("a NumPy array")),
    (b"\x89HDF", text("an HDF5 file")),
    (b"7z\xbc\xaf\x27\x1c", text("a 7-Zip archive")),
    (b"Rar!", text("a RAR archive")),
    (b"BZh", text("a bzip2 archive")),
    (b"\xfd7zXZ", text("an xz archive")),
    (b"\xd0\xcf\x11\xe0", text("an old Office file")),
)


@dataclass
class Member:
    """One stream of unpacked bytes with its name; `seekable` streams can jump, others read their way forward."""

    name: str
    container: str
    stream: Stream


class Stream:
    """Bytes of a file, unpacked, with a look ahead; counts what comes out and never believes what a header promises."""

    def __init__(
        self,
        raw: IO[bytes],
        name: str,
        packed_bytes: int | None,
        limits: Limits,
        ends_whole: Callable[[], bool] | None = None,
    ) -> None:
        self.raw, self.name, self.packed_bytes, self.limits, self.ends_whole = (
            raw,
            name,
            packed_bytes,
            limits,
            ends_whole,
        )
        self.position = 0
        self.damage: str | None = None
        self._came_out = 0
        self._head = b""

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """The first bytes, kept for `read`."""
        while len(self._head) < size and (block := self._next(size - len(self._head))):
            self._head += block
        return self._head

    def read(self, size: int = BLOCK) -> bytes:
        if self._head:
            block, self._head = self._head, b""
        else:
            block = self._next(size)
        self.position += len(block)
        return block

    def skip_to(self, offset: int) -> None:
        """Go forward to a byte offset of the unpacked file."""
        if self.packed_bytes is None:
            self._head = b""
            self.position = self.raw.seek(offset)
            return
        while self.position < offset:
            block = self.read(min(BLOCK, offset - self.position))
            if not block:
                return
            over = self.position - offset
            if over > 0:
                self._head, self.position = block[-over:], offset

    def _next(self, size: int) -> bytes:
        try:
            # read1 hands out what came before a damaged place; read would lose it
            block: bytes = getattr(self.raw, "read1", self.raw.read)(size)
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError) as error:
            if self.packed_bytes is None:
                raise
            self.damage, block = str(error), b""
        if not block and self.damage is None and self.ends_whole is not None and not self.ends_whole():
            self.damage = "it ends in the middle"
        self._came_out += len(block)
        if self.packed_bytes is not None:
            refuse_bomb(self.name, self._came_out, self.packed_bytes, self.limits)
        return block


def refuse_bomb(name: str, out: int, packed: int, limits: Limits) -> None:
    """Raise Problem when `out` bytes from a file of `packed` bytes are more than honest data gives."""
    if out > limits.unpacked_bytes or (out > limits.free_bytes and out > limits.ratio * max(packed, 1)):
        raise Problem(
            "{file} unpacks to more than {megabytes} MiB from {packed} bytes, as files do that are made to fill a "
            "disk: unpack it yourself, look at it, and add the plain data.",
            file=name,
            megabytes=out // MEGABYTE,
            packed=packed,
        )


@contextmanager
def open_raw(path: Path) -> Iterator[IO[bytes]]:
    """The raw file, with a sentence when it can't be opened."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise Problem("{file} does not exist any more: it was moved or deleted.", file=path.name) from None
    except OSError as error:
        raise Problem("{file} can't be read: {reason}.", file=path.name, reason=error.strerror or str(error)) from None
    with file:
        yield file


def open_members(path: Path, label: str, limits: Limits) -> Iterator[Member]:
    """Streams of a data file: one, or one for each data file of a zip. Raises Problem for what is no data."""
    with ExitStack() as stack:
        file = stack.enter_context(open_raw(path))
        head = file.read(16)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not head:
            raise Problem("{file} is empty: it has no bytes at all. Was the upload or export cut short?", file=label)
        refuse_foreign(head, label)
        if head[:2] == b"\x1f\x8b":
            unpacked: Any = stack.enter_context(gzip.GzipFile(fileobj=file))
            yield Member(label, "gzip", Stream(unpacked, label, size, limits))
        elif head[:4] == b"\x28\xb5\x2f\xfd":
            reader = zstandard.ZstdDecompressor(max_window_size=128 * MEGABYTE).stream_reader(
                file, read_across_frames=True
            )
            stream = Stream(stack.enter_context(reader), label, size, limits, partial(_zstd_ends_whole, path))
            yield Member(label, "zstd", stream)
        elif head[:4] == b"PK\x03\x04":
            yield from _zip_members(file, label, limits)
        else:
            yield Member(label, "plain", Stream(file, label, None, limits))


def _zstd_ends_whole(path: Path) -> bool:
    """Whether the last zstd frame has its end; the library takes a cut file for a complete one. Frame layout: RFC
    8878, 3.1."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(4):
            if head[1:] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
                file.seek(int.from_bytes(file.read(4), "little"), io.SEEK_CUR)
                continue
            if not (descriptor := file.read(1)):
                return False
            flags = descriptor[0]
            single = flags >> 5 & 1
            file.seek((1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6], io.SEEK_CUR)
            last = 0
            while not last:
                if len(block := file.read(3)) < 3:
                    return False
                header = int.from_bytes(block, "little")
                last = header & 1
                file.seek(1 if header >> 1 & 3 == 1 else header >> 3, io.SEEK_CUR)
            file.seek(4 * (flags >> 2 & 1), io.SEEK_CUR)
            if file.tell() > size:
                return False
    return True


def refuse_foreign(head: bytes, label: str) -> None:
    """Raise Problem when the first bytes are those of an image, a model, a pickle or another thing without rows."""
    found = next((what for magic, what in FOREIGN if head.startswith(magic)), None)
    if found is None and head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1:
        found = text("a Python pickle (which can run code when loaded)")
    if found is not None:
        raise Problem(
            "{file} is {what}, whatever its name says: export the data as JSONL, CSV or Parquet and add that.",
            file=label,
            what=found,
        )


DAMAGED_ZIP = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, OSError, struct.error)
"""What zipfile raises for a damaged directory or member: it checks little before it believes what is written there."""


def _zip_members(file: IO[bytes], label: str, limits: Limits) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGED_ZIP as error:
        raise Problem(
            "{file} is a damaged zip archive ({reason}): pack or upload it again.", file=label, reason=str(error)
        ) from None
    with archive:
        infos = _data_infos(archive, label, limits)
        for info in infos:
            try:
                stream = archive.open(info)
            except DAMAGED_ZIP as error:
                raise Problem(
                    "{member} in {file} can't be unpacked ({reason}): pack it again with the usual method.",
                    member=info.filename,
                    file=label,
                    reason=str(error),
                ) from None
            with stream:
                name = f"{label}/{info.filename}"
                yield Member(name, "zip", Stream(stream, name, info.compress_size, limits))


def _data_infos(archive: zipfile.ZipFile, label: str, limits: Limits) -> list[zipfile.ZipInfo]:
    """The data files of a zip, in their order; names are only shown, never used as paths."""
    names = [info.filename for info in archive.infolist()]
    if any(name.endswith("data.pkl") for name in names):
        raise Problem(
            "{file} is a PyTorch checkpoint, whatever its name says: add the data it was trained on.", file=label
        )
    if "[Content_Types].xml" in names:
        raise Problem("{file} is an Office document (such as Excel): save the sheet as CSV and add that.", file=label)
    infos = [
        info
        for info in archive.infolist()
        if info.filename.lower().endswith(DATA_SUFFIXES)
        and not any(part.startswith((".", "__MACOSX")) and part != ".." for part in info.filename.split("/"))
    ]
    if not infos:
        raise Problem("{file} holds no data file: a zip may hold JSON, JSONL, CSV, TSV and TXT files.", file=label)
    if len(infos) > limits.members:
        raise Problem(
            "{file} holds {n} data files; at most {most} are read. Join them first.",
            file=label,
            n=len(infos),
            most=limits.members,
        )
    spans = sorted((info.header_offset, info.header_offset + info.compress_size) for info in infos)
    if any(after[0] < before[1] for before, after in pairwise(spans)):
        raise Problem(
            "The files in {file} overlap, as in archives that are made to fill a disk: it is not unpacked.", file=label
        )
    locked = next((info.filename for info in infos if info.flag_bits & 1), None)
    if locked is not None:
        raise Problem(
            "{member} in {file} is encrypted: unpack it yourself and add the plain file.", member=locked, file=label
        )
    return infos


def is_data_name(name: str) -> bool:
    """Whether a file name ends like data that can be read, packed or not."""
    low = name.lower()
    return low.endswith((*DATA_SUFFIXES, ".zip")) or plain_name(low).endswith(DATA_SUFFIXES[:-1])


def plain_name(name: str) -> str:
    """The name in lower case without `.gz` or `.zst`."""
    low = name.lower()
    return next((low.removesuffix(s) for s in PACKED_SUFFIXES if low.endswith(s)), low)

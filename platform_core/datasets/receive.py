"""Data files that appear only when whole, under a name that is safe, from places that may be read."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

from platform_core import files
from platform_core.datasets.containers import is_data_name
from platform_core.datasets.rows import MEGABYTE
from platform_core.errors import Problem
from platform_core.security.paths import check_name, resolve_inside

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Part:
    """A file that grows under a hidden name and appears under its own when `publish` is called.

    Leaving without that removes it. `set_aside` is called before an older file of that name is replaced.
    """

    def __init__(self, target: Path, replace: bool, set_aside: Callable[[], object] | None = None) -> None:
        self.target, self.replace, self.set_aside = target, replace, set_aside
        self.path = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        self.size = 0

    def __enter__(self) -> Part:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_taken()
        with self._explained():
            self.file: IO[bytes] = self.path.open("xb")
        return self

    def write(self, chunk: bytes) -> None:
        with self._explained():
            self.file.write(chunk)
        self.size += len(chunk)

    def publish(self) -> None:
        if not self.size:
            raise Problem("{name} is empty: it has no bytes at all. Was the export cut short?", name=self.target.name)
        with self._explained():
            self.file.flush()
            os.fsync(self.file.fileno())
            self._refuse_taken()
            if self.replace:
                if self.set_aside is not None and self.target.exists():
                    self.set_aside()
                self.path.replace(self.target)
            else:
                self._link()
        files.sync_folder(self.target.parent)

    def _link(self) -> None:
        """Take the name only if nobody else took it meanwhile."""
        try:
            os.link(self.path, self.target)
        except FileExistsError:
            self._refuse_taken()
        except OSError as error:
            if error.errno in FULL:
                raise
            self.path.rename(self.target)  # a file system without hard links

    def _refuse_taken(self) -> None:
        if self.target.exists() and (not self.replace or self.target.is_dir()):
            raise Problem(
                "A dataset named “{name}” exists already: choose another name, or replace it.",
                fields=("name",),
                name=self.target.name,
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise Problem(
                "The disk is full after {megabytes} MiB of {name}; nothing was kept. Free some space (the trash, old "
                "jobs) and try again.",
                name=self.target.name,
                megabytes=round(self.size / MEGABYTE, 1),
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.file.close()
        except OSError:
            pass  # what could not be flushed is removed with the part
        finally:
            self.path.unlink(missing_ok=True)


def tidy_name(name: str) -> str:
    """The name that a file of any name gets here: only letters, digits, dot, dash and underscore, its ending kept."""
    stem, dot, ending = name.partition(".")
    letters = "".join(c for c in unicodedata.normalize("NFKD", stem) if not unicodedata.combining(c))
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", letters).strip("-_")
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", dot + ending)[-100:]
    return (plain[: 120 - len(kept)] or "data") + kept


def data_name(name: str) -> str:
    """A name that a data file may have here; raises Problem."""
    if not is_data_name(check_name(name)):
        raise Problem(
            "“{name}” has no ending of a data file: name it .jsonl, .json, .csv, .tsv, .txt or .parquet (also .gz, "
            ".zst or .zip).",
            fields=("name",),
            name=name,
        )
    return name


def blocks(path: Path, allowed_roots: list[Path]) -> Iterator[bytes]:
    """Bytes of a file; checks where it is once more after opening, in case a link was swapped in between."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Problem("{path} can't be read: {reason}.", path=str(path), reason=error.strerror or str(error)) from None
    with os.fdopen(fd, "rb") as file:
        resolve_inside(os.path.realpath(f"/proc/self/fd/{fd}"), allowed_roots)
        while block := file.read(MEGABYTE):
            yield block

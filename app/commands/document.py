"""`--config FILE`: a job of a kind from a file."""

from __future__ import annotations

import sys
from pathlib import Path

from platform_core.errors import Problem
from platform_core.jobs.document import LARGEST, Document, read


def read_document(path: str, kind: str) -> Document:
    """Read a job of this kind from a file (`-`: stdin); raises Problem when it is none."""
    try:
        text = sys.stdin.read(LARGEST + 1) if path == "-" else _head(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Problem("{file} can't be read: {reason}.", file=path, reason=reason or str(error)) from error
    try:
        document = read(text)
    except Problem as problem:
        raise Problem("{file}: {why}", file=path, why=problem.text) from problem
    if document.kind not in ("", kind):
        raise Problem(
            "{file} describes a job of kind {found}, and this command makes {kind}: take the command of that kind.",
            file=path,
            found=document.kind,
            kind=kind,
        )
    return document


def _head(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        return file.read(LARGEST + 1)

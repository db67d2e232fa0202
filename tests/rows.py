"""Rows of a dataset as JSON Lines, which tests of every kind write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path


def jsonl(rows: Iterable[object]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_rows(path: Path, rows: Iterable[object]) -> Path:
    """Write rows to a file, in a folder that is made where it is missing; the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(jsonl(rows), encoding="utf-8")
    return path

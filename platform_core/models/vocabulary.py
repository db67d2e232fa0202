"""How many tokens a tokenizer has, from its files alone."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

LARGEST = 64 * 2**20


def vocabulary_size(folder: Path) -> int | None:
    """Tokens of the tokenizer in `folder`, added ones included; None without a readable `tokenizer.json`."""
    file = folder / "tokenizer.json"
    try:
        stat = file.stat()
    except OSError:
        return None
    return _size(file, stat.st_mtime_ns, stat.st_size) if stat.st_size <= LARGEST else None


@lru_cache(maxsize=64)
def _size(file: Path, changed: int, size: int) -> int | None:
    try:
        data = json.loads(file.read_bytes())
        words = data["model"]["vocab"]
        ids = set(words.values()) if isinstance(words, dict) else set(range(len(words)))
        return len(ids | {token["id"] for token in data.get("added_tokens", [])})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None

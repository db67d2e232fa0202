"""How many tokens a tokenizer has, whether two are the same, and how long texts are, from its files alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

LARGEST = 64 * 2**20


def vocabulary_size(folder: Path) -> int | None:
    """Tokens of the tokenizer in `folder`, added ones included; None without a readable `tokenizer.json`."""
    known = _known(folder)
    return None if known is None else known[0]


def same_vocabulary(one: Path, two: Path) -> bool | None:
    """Whether two tokenizers have the same tokens with the same ids; None where that can't be told."""
    known = _known(one), _known(two)
    return None if None in known else known[0] == known[1]


def longest(texts: Sequence[str], folder: Path) -> int | None:
    """Tokens of the longest text, by the tokenizer in `folder`; None without a readable `tokenizer.json`."""
    from tokenizers import Tokenizer

    if _known(folder) is None:
        return None
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return max((len(found.ids) for found in tokenizer.encode_batch(list(texts))), default=0)
    except Exception:  # whatever the library finds wrong in the file, it raises as a plain Exception
        return None


def _known(folder: Path) -> tuple[int, str] | None:
    file = folder / "tokenizer.json"
    try:
        stat = file.stat()
    except OSError:
        return None
    return _read(file, stat.st_mtime_ns, stat.st_size) if stat.st_size <= LARGEST else None


@lru_cache(maxsize=64)
def _read(file: Path, changed: int, size: int) -> tuple[int, str] | None:
    """Number of tokens, and a checksum over them with their ids."""
    try:
        data = json.loads(file.read_bytes())
        words = data["model"]["vocab"]
        ids = dict(words) if isinstance(words, dict) else {str(word[0]): at for at, word in enumerate(words)}
        ids |= {str(token.get("content", token["id"])): token["id"] for token in data.get("added_tokens", [])}
        named = json.dumps(sorted((word, int(at)) for word, at in ids.items())).encode()
        return len(set(ids.values())), hashlib.sha256(named).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None

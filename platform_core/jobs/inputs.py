"""What a job is made of, as hashes and versions, to be recorded and to be compared later."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

from platform_core.rewards.store import FILES, is_reward

HASHED = (".safetensors", ".json", ".jinja", ".model", ".txt")


def hashes(path: Path) -> dict[str, str]:
    """File name → sha256 of a dataset file, of a reward's files, or of the weights, settings and tokenizer files of a
    model's folder."""
    if path.is_file():
        return {path.name: sha256(path)}
    if is_reward(path):
        return {name: sha256(path / name) for name in FILES if (path / name).is_file()}
    return {p.name: sha256(p) for p in sorted(path.iterdir()) if p.is_file() and p.suffix in HASHED}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def packages() -> dict[str, str]:
    """Every installed package with its version, by name."""
    found = {str(d.metadata["Name"]): d.version for d in metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def digest(value: object) -> str:
    """sha256 of a value as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

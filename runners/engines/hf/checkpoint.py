"""Checkpoints that are whole or do not exist: `checkpoints/step-<n>/`, the sizes of its files in `complete.json`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from platform_core.clock import now
from platform_core.files import publish, read_json, remove_whole, write_json

SAVING = ".saving.part"
MARKER = "complete.json"
PROBE_BYTES = 1 << 20


def complete(part: Path, checkpoints: Path, step: int, keep: int, tokens: int = 0) -> Path:
    """Make the written folder `part` the checkpoint of `step`, and remove all but the newest `keep`; raises OSError."""
    files = {str(p.relative_to(part)): p.stat().st_size for p in sorted(part.rglob("*")) if p.is_file()}
    write_json(part / MARKER, {"step": step, "files": files, "tokens": tokens, "time": now()})
    target = checkpoints / f"step-{step}"
    publish(part, target)
    for _, old in _numbered(checkpoints)[keep:]:
        remove_whole(old)
    return target


def last_whole(checkpoints: Path) -> Path | None:
    """The newest checkpoint whose files are all there in full; truncated and foreign folders are passed over."""
    return next((folder for step, folder in _numbered(checkpoints) if is_whole(folder, step)), None)


def is_whole(folder: Path, step: int) -> bool:
    """Whether the folder has a completion marker for `step`, and every file that it names in the size that it names."""
    marker = read_json(folder / MARKER)
    files = marker.get("files") if marker and marker.get("step") == step else None
    if not isinstance(files, dict) or not files:
        return False
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in files.items())


def trained_tokens(folder: Path) -> int:
    """Tokens that the training had seen at a checkpoint."""
    return int(str((read_json(folder / MARKER) or {}).get("tokens", 0)))


def sweep(checkpoints: Path) -> None:
    """Remove what a killed run left half written."""
    for part in checkpoints.glob(".*"):
        shutil.rmtree(part, ignore_errors=True)


def raise_if_disk_full(folder: Path) -> None:
    """Raise the OSError that a write in `folder` meets now: torch reports a full disk without the reason."""
    probe = folder / ".probe.part"
    try:
        with probe.open("wb") as file:
            file.write(os.urandom(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _numbered(checkpoints: Path) -> list[tuple[int, Path]]:
    """Checkpoint folders by name, the newest first."""
    found = [(p.name.removeprefix("step-"), p) for p in checkpoints.glob("step-*") if p.is_dir()]
    return sorted(((int(n), p) for n, p in found if n.isdigit()), reverse=True)

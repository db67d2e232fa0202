"""Checkpoints that are whole or do not exist: `checkpoints/step-<n>/`, sizes and checksums of its files in a manifest.

The manifest is `complete.json`, written last. What the manifest does not name, or what differs from it, is never
loaded; what is loaded is read by transformers with `weights_only=True`, so that no file can carry a program.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from platform_core.clock import now
from platform_core.files import publish, read_json, remove_whole, write_json

SAVING = ".saving.part"
MARKER = "complete.json"
PROBE_BYTES = 1 << 20
HASHERS = 4
"""Files hashed at a time: SHA-256 reads 1.5 GB/s on one core, and a large model's checkpoint has several files."""


@dataclass(frozen=True)
class Best:
    """Which checkpoint is the best: by the value of `metric` when it was saved."""

    metric: str
    higher: bool

    def of(self, folders: list[Path]) -> Path | None:
        """The best of some checkpoints; the newer one where two are alike; None where none knows the metric."""
        found = [(value, folder) for folder in folders if (value := saved_values(folder).get(self.metric)) is not None]
        if not found:
            return None
        best = (max if self.higher else min)(value for value, _ in found)
        return next(folder for value, folder in found if value == best)


@dataclass(frozen=True)
class Found:
    """The newest whole checkpoint, and newer ones that are not, each with what is wrong with it."""

    whole: Path | None
    damaged: tuple[tuple[Path, str], ...] = ()


def complete(
    part: Path,
    checkpoints: Path,
    step: int,
    keep: int,
    tokens: int = 0,
    *,
    job: str = "",
    values: Mapping[str, float] | None = None,
    best: Best | None = None,
) -> Path:
    """Make the written folder `part` the checkpoint of `step`; keep the newest `keep` and the best; raises OSError.

    `values` are the metrics of this moment, by which `best` judges.
    """
    files = manifest(part)
    marker = {"step": step, "job": job, "files": files, "tokens": tokens, "time": now(), "metrics": dict(values or {})}
    write_json(part / MARKER, marker)
    target = checkpoints / f"step-{step}"
    publish(part, target)
    # A folder without a manifest is not ours: it is neither counted nor removed.
    ours = [folder for _, folder in numbered(checkpoints) if (folder / MARKER).is_file()]
    chosen = best.of(ours) if best else None
    for old in ours[keep:]:
        if old != chosen:
            remove_whole(old)
    return target


def manifest(folder: Path) -> dict[str, dict[str, object]]:
    """Size and sha256 of every file below `folder`; just written, they are read from memory."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    with ThreadPoolExecutor(HASHERS) as pool:
        sums = list(pool.map(sha256, files))
    return {
        str(p.relative_to(folder)): {"bytes": p.stat().st_size, "sha256": checksum}
        for p, checksum in zip(files, sums, strict=True)
    }


def find(checkpoints: Path, job: str = "") -> Found:
    """The newest checkpoint of `job` that is whole; truncated, altered and foreign ones are passed over."""
    damaged: list[tuple[Path, str]] = []
    for step, folder in numbered(checkpoints):
        wrong = damage(folder, step, job)
        if not wrong:
            return Found(folder, tuple(damaged))
        damaged.append((folder, wrong))
    return Found(None, tuple(damaged))


def last_whole(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint."""
    return find(checkpoints).whole


def is_whole(folder: Path, step: int) -> bool:
    """Whether the folder is the checkpoint of `step`, and all its files are what its manifest says."""
    return not damage(folder, step)


def damage(folder: Path, step: int, job: str = "") -> str:
    """What is wrong with a checkpoint; empty when it is whole and, where both are known, of this job."""
    marker = read_json(folder / MARKER)
    files = marker.get("files") if marker and marker.get("step") == step else None
    if not marker or not isinstance(files, dict) or not files:
        return f"{MARKER} is missing or of something else"
    if job and marker.get("job", job) not in (job, ""):
        return "it is of another job"
    there = {str(p.relative_to(folder)): p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()}
    there.pop(MARKER, None)
    for name in sorted(files.keys() ^ there.keys()):
        return f"{name} is missing" if name in files else f"{name} does not belong to it"
    if link := next((name for name, path in sorted(there.items()) if path.is_symlink()), None):
        return f"{link} is a link"
    expected = {name: _expected(entry) for name, entry in files.items()}
    for name, (size, _) in expected.items():
        if there[name].stat().st_size != size:
            return f"{name} differs"
    hashed = [name for name, (_, checksum) in expected.items() if checksum]
    with ThreadPoolExecutor(HASHERS) as pool:
        for name, checksum in zip(hashed, pool.map(sha256, [there[name] for name in hashed]), strict=True):
            if checksum != expected[name][1]:
                return f"{name} differs"
    return ""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def trained_tokens(folder: Path) -> int:
    """Tokens that the training had seen at a checkpoint."""
    return int(str((read_json(folder / MARKER) or {}).get("tokens", 0)))


def saved_values(folder: Path) -> dict[str, float]:
    """The metrics at the moment of a checkpoint."""
    values = (read_json(folder / MARKER) or {}).get("metrics")
    return values if isinstance(values, dict) else {}


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


def numbered(checkpoints: Path) -> list[tuple[int, Path]]:
    """Checkpoint folders by name, the newest first."""
    found = [(p.name.removeprefix("step-"), p) for p in checkpoints.glob("step-*") if p.is_dir()]
    return sorted(((int(n), p) for n, p in found if n.isdigit()), reverse=True)


def _expected(entry: object) -> tuple[object, str]:
    # Checkpoints from before there were checksums have the size alone.
    return (entry.get("bytes"), str(entry.get("sha256") or "")) if isinstance(entry, dict) else (entry, "")

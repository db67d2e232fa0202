"""A checkpoint is whole or does not exist."""

from __future__ import annotations

import json
from pathlib import Path

from runners.engines.hf import checkpoint


def saved(checkpoints: Path, step: int, keep: int = 5) -> Path:
    part = checkpoints / checkpoint.SAVING / f"checkpoint-{step}"
    (part / "deep").mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"w" * step)
    (part / "deep" / "state.json").write_text("{}")
    return checkpoint.complete(part, checkpoints, step, keep, tokens=10 * step)


def test_the_newest_whole_one_is_found_by_number(tmp_path: Path) -> None:
    assert checkpoint.last_whole(tmp_path) is None
    for step in (9, 100, 20):
        saved(tmp_path, step)
    assert checkpoint.last_whole(tmp_path) == tmp_path / "step-100"
    assert checkpoint.trained_tokens(tmp_path / "step-100") == 1000


def test_older_ones_are_removed(tmp_path: Path) -> None:
    for step in (5, 10, 15, 20):
        saved(tmp_path, step, keep=2)
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-15", "step-20"]


def test_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    damage = {
        30: lambda folder: (folder / "model.safetensors").write_bytes(b"short"),
        40: lambda folder: (folder / "deep" / "state.json").unlink(),
        50: lambda folder: (folder / checkpoint.MARKER).unlink(),
        60: lambda folder: (folder / checkpoint.MARKER).write_text('{"step": 60, "fi'),
        70: lambda folder: (folder / checkpoint.MARKER).write_text(json.dumps({"step": 70, "files": {}})),
    }
    good = saved(tmp_path, 20, keep=10)
    for step, harm in damage.items():
        harm(saved(tmp_path, step, keep=10))
    good.rename(tmp_path / "step-80")  # its marker says 20
    (tmp_path / "step-best").mkdir()
    assert checkpoint.last_whole(tmp_path) is None
    (tmp_path / "step-80").rename(tmp_path / "step-20")
    assert checkpoint.last_whole(tmp_path) == good


def test_parts_are_swept(tmp_path: Path) -> None:
    saved(tmp_path, 10)
    (tmp_path / checkpoint.SAVING / "checkpoint-20").mkdir(parents=True)
    (tmp_path / ".step-5.abcd.old").mkdir()
    checkpoint.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["step-10"]

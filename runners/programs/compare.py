"""Two runs of the same steps compared bit by bit: what they reported, and the checkpoint or output that they left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers.trainer_pt_utils import safe_globals

from platform_core.files import read_json
from platform_core.metrics.reader import Reader
from runners.engines.hf.saving import SUMS

CLOCKED = ("tokens_per_second", "samples_per_second", "step_time")
"""Metrics that a clock decides: two runs never agree on them."""

VECTORS = ("grad_norm", "reward")


@dataclass(frozen=True)
class Comparison:
    """How many numbers and tensors were compared, and the first difference in words (empty: none)."""

    points: int
    tensors: int
    difference: str


def compare(one: Path, two: Path, step: int) -> Comparison:
    """Compare two job folders that ended at `step`; in words, the first run is the straight one."""
    points, difference = compare_reports(one / "metrics.sqlite", two / "metrics.sqlite")
    folders = [left(folder, step) for folder in (one, two)]
    tensors, other = compare_tensors(*folders)
    return Comparison(points, tensors, difference or other or compare_sums(*folders))


def left(folder: Path, step: int) -> Path:
    """The checkpoint that a run was paused with, or the output of one that came to its end."""
    checkpoint = folder / "checkpoints" / f"step-{step}"
    return checkpoint if checkpoint.is_dir() else folder / "output"


def compare_reports(one: Path, two: Path) -> tuple[int, str]:
    """Number of points compared and the earliest difference among metrics, gradient norms and samples."""
    with Reader(one) as a, Reader(two) as b:
        names = sorted({*a.names(), *b.names()} - set(CLOCKED))
        found: list[tuple[int, str]] = []
        count = 0
        for name in names:
            (steps, values), (other_steps, others) = a.points(name), b.points(name)
            count += len(steps)
            found += first_of(name, dict(zip(steps.tolist(), values, strict=True)),
                              dict(zip(other_steps.tolist(), others, strict=True)))  # fmt: skip
        for key in VECTORS:
            vectors, others_of_key = a.vectors(key), b.vectors(key)
            count += vectors.values.size
            if vectors.values.tobytes() != others_of_key.values.tobytes():
                found.append((int(vectors.steps[0]) if len(vectors.steps) else 0, f"vectors of {key} differ"))
        samples, others_ = [[(s.step, s.data) for s in run.samples()] for run in (a, b)]
        if samples != others_:
            step = next((x[0] for x, y in zip(samples, others_, strict=False) if x != y), 0)
            found.append((step, f"samples differ from step {step} on"))
    return count, min(found, default=(0, ""))[1]


def first_of(name: str, one: dict[int, Any], two: dict[int, Any]) -> list[tuple[int, str]]:
    """The first step at which a metric differs, with both values to the last digit."""
    for step in sorted({*one, *two}):
        if step not in one or step not in two:
            return [(step, f"{name} at step {step}: only in the {'straight' if step in one else 'paused'} run")]
        if np.float64(one[step]).tobytes() != np.float64(two[step]).tobytes():
            return [(step, f"{name} at step {step}: {float(one[step])!r} straight, {float(two[step])!r} with a pause")]
    return []


def compare_tensors(one: Path, two: Path) -> tuple[int, str]:
    """Number of tensors compared and the first that differs, over weights, optimizer, schedule and random states."""
    a, b = dict(tensors_in(one)), dict(tensors_in(two))
    for name in [*a, *(name for name in b if name not in a)]:
        if name not in a or name not in b:
            return len(a), f"{name}: only in the {'straight' if name in a else 'paused'} run"
        if not same(a[name], b[name]):
            return len(a), f"{name}: {apart(a[name], b[name])}"
    return len(a), ""


def tensors_in(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every tensor and number in a checkpoint or an output, by file and name."""
    for path in sorted(folder.glob("*.safetensors")):
        yield from ((f"{path.name} {name}", value) for name, value in load_file(path).items())
    for path in sorted([*folder.glob("*.pt"), *folder.glob("*.pth")]):
        with safe_globals():
            yield from leaves(path.name, torch.load(path, map_location="cpu", weights_only=True))


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is in nested dictionaries and lists."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(f"{name} {key}", inner)
    elif isinstance(value, list | tuple) and any(not isinstance(x, int | float) for x in value):
        for at, inner in enumerate(value):
            yield from leaves(f"{name} {at}", inner)
    else:
        yield name, value


def same(one: Any, two: Any) -> bool:
    """Whether two values are the same to the bit; NaN equals itself."""
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        if one.dtype != two.dtype or one.shape != two.shape:
            return False
        a, b = (x.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for x in (one, two))
        return torch.equal(a, b)
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.dtype == two.dtype and one.tobytes() == two.tobytes()
    return type(one) is type(two) and repr(one) == repr(two)


def apart(one: Any, two: Any) -> str:
    """How far two values are from each other."""
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor) and one.shape == two.shape:
        return f"differs by up to {(one.double() - two.double()).abs().max().item():.3g}"
    return f"{str(one)[:60]} and {str(two)[:60]}"


def compare_sums(one: Path, two: Path) -> str:
    """The first difference among the sums since the last log, of each process that trained."""
    for name in sorted({path.name for folder in (one, two) for path in folder.glob(f"*{SUMS}")}):
        sums = [sums_in(folder / name) for folder in (one, two)]
        if sums[0] != sums[1]:
            return f"{name}: {sums[0]} and {sums[1]}"
    return ""


def sums_in(file: Path) -> dict[str, object] | None:
    """The sums in a file, without those that a clock decides."""
    sums = read_json(file)
    metrics = (sums or {}).get("metrics")
    if isinstance(metrics, dict):
        sums = {**(sums or {}), "metrics": {name: values for name, values in metrics.items() if name not in CLOCKED}}
    return sums

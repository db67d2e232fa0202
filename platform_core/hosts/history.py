"""What was sampled of a host: one file of metrics a day, whose step is the time in seconds, and one file a job.

The newest day's file also holds the newest snapshot whole, so that a page or the queue reads one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.hosts.devices import Gpu, GpuProcess, Snapshot
from platform_core.hosts.place import folder, this_host
from platform_core.metrics.reader import Reader
from platform_core.workspace.service import Workspace

FRESH_SECONDS = 15.0
"""A snapshot older than this is not told as now: the sampler, which writes every 2 s, does not live or is stuck."""
DAYS_KEPT = 8
HOST_NUMBERS = ("cpu", "load", "memory_total", "memory_available", "disk_total", "disk_free", "disk_read",
                "disk_write", "net_in", "net_out")  # fmt: skip
GPU_NUMBERS = ("memory_total", "memory_used", "utilization", "temperature", "power", "power_limit")
JOB_FILE = "devices.sqlite"


@dataclass(frozen=True)
class Latest:
    """The newest snapshot and its `age` in seconds; `fresh` when it may be told as now."""

    snapshot: Snapshot
    age: float

    @property
    def fresh(self) -> bool:
        return self.age <= FRESH_SECONDS


Window = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
"""Key → times (seconds since the epoch) and values; keys as `numbers` makes them."""


def file_of(workspace: Workspace, host: str, time: float) -> Path:
    """The file of the day (UTC) that a time is in."""
    return folder(workspace, host) / f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}.sqlite"


def job_file(workspace: Workspace, job_id: str) -> Path:
    """The file with what a job used over its life: cpu, rss, processes, gpu.<index>.memory and .utilization."""
    return workspace.job_folder(job_id) / JOB_FILE


def hosts(workspace: Workspace) -> list[str]:
    """Hosts that were ever sampled here, this one first."""
    there = workspace.home / "hosts"
    names = sorted(p.name for p in there.iterdir() if p.is_dir()) if there.is_dir() else []
    return [this_host(), *(name for name in names if name != this_host())]


def latest(workspace: Workspace, host: str = "") -> Latest | None:
    """The newest snapshot of a host, None when it was never sampled; look at `fresh` before you tell it as now."""
    for path in reversed(_files(workspace, host)):
        try:
            with Reader(path) as run:
                made = run.progress().get("snapshot")
        except Problem:  # a file that is damaged: the sampler makes a new one
            continue
        if isinstance(made, dict):
            found = _snapshot(made)
            return Latest(found, abs(now() - found.time))
    return None


def numbers(snapshot: Snapshot) -> dict[str, float]:
    """A snapshot's numbers as keys of metrics: cpu, gpu.0.utilization; what is not told is left out."""
    found = {name: getattr(snapshot, name) for name in HOST_NUMBERS}
    for gpu in snapshot.gpus:
        found |= {f"gpu.{gpu.index}.{name}": getattr(gpu, name) for name in GPU_NUMBERS}
    return {name: float(value) for name, value in found.items() if value is not None}


def window(workspace: Workspace, host: str, seconds: float, buckets: int = 600) -> Window:
    """The last seconds of a host by key, at most about `buckets` means for each; empty where nothing was sampled."""
    first, last = int(now() - seconds), int(now()) + 1
    parts: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
    for path in _files(workspace, host):
        if path.stem < f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d}":
            continue
        with Reader(path) as run:
            for name in run.names():
                curve = run.curve(name, buckets, first, last)
                if len(curve.steps):
                    parts.setdefault(name, []).append((curve.steps, curve.mean))
    return {
        name: (np.concatenate([s for s, _ in found]), np.concatenate([v for _, v in found]))
        for name, found in parts.items()
    }


def recent(workspace: Workspace, host: str = "", seconds: float = 600.0) -> tuple[Snapshot, ...]:
    """Snapshots of the last seconds, oldest first, at most one a sample, without processes and jobs."""
    newest = latest(workspace, host)
    if newest is None:
        return ()
    moments: dict[int, dict[str, float]] = {}
    for name, (times, values) in window(workspace, host, seconds).items():
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            moments.setdefault(time, {})[name] = value
    return tuple(_at(newest.snapshot, time, found) for time, found in sorted(moments.items()))


def indexes(workspace: Workspace, uuids: Sequence[str], host: str = "") -> str:
    """GPUs as people call them, "0, 2"; by its UUID one that the host's newest snapshot does not show."""
    newest = latest(workspace, host) if uuids else None
    known = {gpu.uuid: str(gpu.index) for gpu in newest.snapshot.gpus} if newest is not None else {}
    return ", ".join(known.get(uuid, uuid) for uuid in uuids)


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as the progress row keeps it."""
    return asdict(snapshot)


def _files(workspace: Workspace, host: str) -> list[Path]:
    return sorted(folder(workspace, host).glob("????-??-??.sqlite"))


def _at(newest: Snapshot, time: float, found: Mapping[str, float]) -> Snapshot:
    host: dict[str, Any] = {name: found[name] for name in HOST_NUMBERS if name in found}
    gpus = tuple(
        Gpu(gpu.uuid, gpu.index, gpu.name, **{"memory_total": gpu.memory_total, "memory_used": 0, **mine})
        for gpu in newest.gpus
        if (mine := _of_gpu(gpu.index, found))
    )
    return Snapshot(newest.host, float(time), gpus, newest.cores, **host)


def _of_gpu(index: int, found: Mapping[str, float]) -> dict[str, Any]:
    keys = {name: f"gpu.{index}.{name}" for name in GPU_NUMBERS}
    return {name: found[key] for name, key in keys.items() if key in found}


def _snapshot(made: dict[str, Any]) -> Snapshot:
    gpus = tuple(Gpu(**{**g, "processes": tuple(GpuProcess(**p) for p in g["processes"])}) for g in made["gpus"])
    return Snapshot(**{**made, "gpus": gpus})

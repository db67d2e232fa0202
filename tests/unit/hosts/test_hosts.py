"""GPUs as NVML tells them, decisions about hosts, and what is kept of samples."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from platform_core.errors import Problem
from platform_core.hosts import history, nvml, service
from platform_core.hosts.decisions import decisions
from platform_core.hosts.place import folder
from platform_core.queue.capacity import capacity
from platform_core.queue.placement import room
from platform_core.workspace.service import Workspace, open_workspace
from runners.sampler import Sampler

FAKE = Path(__file__).resolve().parents[2] / "fake_nvml"
GIB = 2**30
State = Callable[..., None]


def gpu(index: int, **more: Any) -> dict[str, Any]:
    return {"uuid": f"GPU-{index}", "name": "NVIDIA H200", "memory_total": 141 * GIB, "memory_used": index * GIB,
            "utilization": 10 * index, "temperature": 40, "power": 99.5, "power_limit": 700, "processes": [],
            **more}  # fmt: skip


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    path = tmp_path / "nvml.json"
    monkeypatch.setenv("FAKE_NVML", str(path))
    monkeypatch.syspath_prepend(str(FAKE))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    nvml._begun.clear()
    yield lambda **told: path.write_text(json.dumps(told))
    nvml.close()
    sys.modules.pop("pynvml", None)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "home", 5.0)


def test_eight_gpus_are_read_with_their_processes(state: State) -> None:
    state(gpus=[gpu(i, processes=[{"pid": 7, "memory": GIB}] if i == 3 else []) for i in range(8)])
    found, trouble = nvml.read_gpus()
    assert (len(found), trouble) == (8, "")
    assert (found[3].uuid, found[3].memory_free, found[3].power) == ("GPU-3", 138 * GIB, 99.5)
    assert [(p.pid, p.memory_bytes) for p in found[3].processes] == [(7, GIB)]


def test_what_a_gpu_does_not_tell_is_none_not_zero(state: State) -> None:
    state(gpus=[gpu(0, utilization=None, power=None, processes=None)])
    found, trouble = nvml.read_gpus()
    assert (found[0].utilization, found[0].power, found[0].processes, trouble) == (None, None, (), "")


def test_a_lost_gpu_leaves_the_others_and_is_named(state: State) -> None:
    state(gpus=[gpu(0), gpu(1, error="GPU_IS_LOST"), gpu(2)])
    found, trouble = nvml.read_gpus()
    assert ([g.index for g in found], trouble) == ([0, 2], "GPU 1: GPU is lost")


def test_no_driver_is_no_trouble_but_a_wrong_one_is_and_it_recovers(state: State) -> None:
    assert nvml.read_gpus() == ((), "")
    state(error="LIB_RM_VERSION_MISMATCH")
    assert "mismatch" in nvml.read_gpus()[1]
    state(gpus=[gpu(0)])
    assert len(nvml.read_gpus()[0]) == 1


def test_nvml_that_dies_between_two_samples_leaves_cpu_and_memory(state: State, workspace: Workspace) -> None:
    sampler = Sampler(workspace)
    state(gpus=[gpu(0, processes=[{"pid": os.getpid(), "memory": GIB}, {"pid": 2**22 + 9, "memory": None}])])
    first = sampler.sample()
    mine, unknown = first.gpus[0].processes
    assert (bool(mine.name), bool(mine.user), unknown.name, unknown.job_id) == (True, True, "", None)
    state(error="UNKNOWN")
    second = sampler.sample()
    assert (second.gpus, second.trouble) == ((), "Unknown Error")
    newest = history.latest(workspace)
    assert newest is not None
    assert newest.fresh
    assert newest.snapshot == second
    assert second.memory_available > 0
    assert "gpu.0.temperature" in history.window(workspace, "", 60)
    sampler.start()
    sampler.close()


def test_old_numbers_are_told_as_old(state: State, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler(workspace)
    seen = sampler.sample()
    monkeypatch.setattr(history, "now", lambda: seen.time + 60)
    newest = history.latest(workspace)
    assert newest is not None
    assert not newest.fresh
    assert newest.age == 60


def test_only_the_last_days_are_kept(state: State, workspace: Workspace) -> None:
    there = folder(workspace)
    there.mkdir(parents=True)
    for day in range(1, 29):
        (there / f"2020-02-{day:02}.sqlite").write_bytes(b"")
    Sampler(workspace).sample()
    assert len(list(there.glob("*.sqlite"))) == history.DAYS_KEPT


def test_a_gpu_is_reserved_once_and_a_host_drained_and_back(workspace: Workspace) -> None:
    service.reserve(workspace, "GPU-1", "ann", "a demo")
    with pytest.raises(Problem, match="by ann"):
        service.reserve(workspace, "GPU-1", "bob")
    assert service.reserved(workspace)["GPU-1"].reason == "a demo"
    assert service.release(workspace, "GPU-1", "bob", "the demo is over") is not None
    assert service.reserved(workspace) == {}
    service.drain(workspace, "here", "ann", "upgrade")
    found = service.drained(workspace, "here")
    assert found is not None
    assert (found.actor, found.reason) == ("ann", "upgrade")
    service.undrain(workspace, "here", "bob")
    assert service.drained(workspace, "here") is None
    assert [(d.verb, d.actor) for d in decisions(workspace, "here")] == [("undrain", "bob"), ("drain", "ann")]
    with (folder(workspace) / "decisions.jsonl").open("ab") as file:
        file.write(b"not json\n{}\n")
    mine = decisions(workspace)
    assert [(d.verb, d.actor, d.gpu, d.reason) for d in mine] == [
        ("release", "bob", "GPU-1", "the demo is over"),
        ("reserve", "ann", "GPU-1", "a demo"),
    ]


def test_what_a_job_holds_already_is_not_counted_twice(
    state: State, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler(workspace)
    monkeypatch.setattr(sampler, "_leaders", lambda: {"mine": os.getpid()})
    state(gpus=[gpu(0, processes=[{"pid": os.getpid(), "memory": GIB}])])
    seen = sampler.sample()
    held = seen.jobs["mine"]["rss"]
    assert held > 2**20
    have = capacity(workspace)
    running = Running()
    left = room(have, [running])
    assert have.snapshot is not None
    assert [p.job_id for p in have.gpus[0].processes] == ["mine"], "known although its environment does not tell"
    assert left.available == have.snapshot.memory_available - (running.memory_bytes - held)
    monkeypatch.setattr(history, "now", lambda: seen.time + 60)
    stale = capacity(workspace)
    assert stale.snapshot is not None
    assert room(stale, [running]).available == stale.snapshot.memory_available - running.memory_bytes


@dataclass(frozen=True)
class Running:
    """A job that was estimated at 64 GiB."""

    id: str = "mine"
    name: str = "mine"
    cpu_slots: int = 1
    memory_bytes: int = 64 * GIB
    gpus: int = 0
    gpu_memory_bytes: int = 0
    devices: tuple[str, ...] = ()

"""Jobs on a host with four GPUs, played by a fake NVML: who gets which, what others hold, and what survives."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from app.cli import main
from platform_core.clock import monotonic
from platform_core.errors import Problem
from platform_core.hosts import service as hosts
from platform_core.hosts.place import this_host
from platform_core.jobs import service
from platform_core.jobs.folder import write_run
from platform_core.queue import ordering
from runners import starting
from runners import supervisor as supervisors
from runners.launchers.local import Local
from runners.place import log_path

from .stage import Stage, kill

GIB = 2**30
LONG = {"steps": 100_000, "step_seconds": 0.02}


@pytest.fixture
def cards(tell_nvml: Callable[..., None]) -> Callable[..., None]:
    """Says who holds which GPU: `cards(g2=(pid, GiB))`; the others are free."""

    def write(**held: tuple[int, int]) -> None:
        gpus = []
        for index in range(4):
            pid, used = held.get(f"g{index}", (0, 0))
            found = [{"pid": pid, "memory": used * GIB}] if pid else []
            gpus.append({"uuid": f"GPU-{index}", "name": "H100", "memory_total": 80 * GIB, "memory_used": used * GIB,
                         "utilization": 0, "processes": found})  # fmt: skip
        tell_nvml(driver="570", cuda=12080, gpus=gpus)

    write()
    return write


@pytest.fixture
def stage(gpu_stage: Stage, cards: Callable[..., None]) -> Stage:
    return gpu_stage


@pytest.fixture
def mallory() -> Iterator[int]:
    """A process that is none of ours."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


def seen_by(stage: Stage, job: service.Job) -> str:
    """CUDA_VISIBLE_DEVICES of the runner."""
    runner = stage.processes(job).runner
    found: list[str] = []

    def is_there() -> bool:  # a process that was forked a moment ago has its parent's still
        environment = Path(f"/proc/{runner.pid}/environ").read_bytes().decode().split("\0")
        found.extend(v.partition("=")[2] for v in environment if v.startswith("CUDA_VISIBLE_DEVICES="))
        return bool(found)

    stage.until(is_there)
    return found[0]


def why(stage: Stage, job: service.Job) -> str:
    wait = ordering.why(stage.workspace, job.id)
    return "" if wait is None else str(wait.reason)


def test_each_job_sees_its_own_gpus_and_a_new_supervisor_keeps_them_taken(stage: Stage) -> None:
    supervisor = stage.start_supervisor()
    first = stage.create("first", gpus=3, gpu_memory_gib=20, **LONG)
    assert seen_by(stage, first) == "GPU-0,GPU-1,GPU-2"
    assert service.history(stage.workspace, first.id)[0][0].devices == ["GPU-0", "GPU-1", "GPU-2"]
    kill(supervisor.pid)
    supervisor.wait()
    none = stage.create("none", gpus=0, **LONG)
    big = stage.create("big", gpus=2, gpu_memory_gib=20, steps=1)
    stage.start_supervisor()
    assert seen_by(stage, none) == ""
    assert stage.state(big) == "queued"
    service.stop(stage.workspace, none.id)
    stage.until(lambda: "GPU 0 is taken by “first”" in why(stage, big))
    service.stop(stage.workspace, first.id)
    assert stage.wait_for(big).state == "completed"
    assert service.history(stage.workspace, big.id)[0][0].devices == ["GPU-0", "GPU-1"]


def test_other_peoples_memory_means_waiting_not_crashing(
    stage: Stage, cards: Callable[..., None], mallory: int
) -> None:
    cards(**{f"g{n}": (mallory, 70) for n in range(4)})
    stage.start_supervisor()
    job = stage.create(gpus=1, gpu_memory_gib=20, steps=1)
    other = stage.create(gpus=0, steps=1)
    assert stage.wait_for(other).state == "completed"
    assert stage.state(job) == "queued"
    assert f"GPU 0 has 10.0 GiB free: sleep ({_me()}, pid {mallory}) holds 70.0 GiB" in why(stage, job)
    cards(g0=(mallory, 70))
    assert stage.wait_for(job).state == "completed"
    assert service.history(stage.workspace, job.id)[0][0].devices == ["GPU-1"]


def test_reserved_gpus_and_a_drained_host_are_left_alone(stage: Stage) -> None:
    for index in range(3):
        hosts.reserve(stage.workspace, f"GPU-{index}", "eve")
    stage.start_supervisor()
    job = stage.create(gpus=2, gpu_memory_gib=20, steps=1)
    assert stage.wait_for(stage.create(gpus=1, gpu_memory_gib=20, steps=1)).state == "completed"
    assert "GPU 0 is reserved by eve" in why(stage, job)
    hosts.drain(stage.workspace, this_host(), "eve", "new memory")
    hosts.release(stage.workspace, "GPU-0", "eve")
    Event().wait(2.5)
    assert stage.state(job) == "queued"
    assert "eve drained it (new memory)" in why(stage, job)
    hosts.undrain(stage.workspace, this_host(), "eve")
    assert stage.wait_for(job).state == "completed"


def test_a_gpu_that_is_taken_between_choice_and_start_puts_the_job_back(
    stage: Stage, cards: Callable[..., None], mallory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stage.environment().items():
        monkeypatch.setenv(name, value)

    def taken_meanwhile(*arguments: object) -> Path:
        cards(**{f"g{n}": (mallory, 79) for n in range(4)})
        return write_run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(starting, "write_run", taken_meanwhile)
    supervisor = supervisors.Supervisor(stage.workspace, Local(stage.home, log_path(stage.home)))
    job = stage.create(gpus=1, gpu_memory_gib=20, steps=1)
    deadline = monotonic() + 20
    while stage.get(job).attempt == 0 and monotonic() < deadline:
        supervisor.turn()
    back = stage.get(job)
    assert (back.state, back.attempt) == ("queued", 1)
    assert "was taken a moment before" in str(back.reason)
    monkeypatch.setattr(starting, "write_run", write_run)
    cards()
    while stage.state(job) != "completed" and monotonic() < deadline + 40:
        Event().wait(min(supervisor.turn(), 0.05))
    assert [a.outcome for a in service.history(stage.workspace, job.id)[0]] == ["waited", "completed"]


def test_chosen_gpus_are_waited_for_and_no_others_are_taken(
    stage: Stage,
    tell_nvml: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a host with eight: by UUID, in the order of the indexes; a reserved one is waited for as well."""
    free = {"name": "H100", "memory_total": 80 * GIB, "memory_used": 0, "utilization": 0, "processes": []}
    tell_nvml(driver="570", cuda=12080, gpus=[{**free, "uuid": f"GPU-{index:08x}"} for index in range(8)])
    with pytest.raises(Problem, match="There is no GPU 8: this machine has GPU 0, 1, 2, 3, 4, 5, 6, 7"):
        stage.create(gpu_indexes="8")
    stage.start_supervisor()
    first = stage.create("first", gpu_indexes="6,3", gpu_memory_gib=20, **LONG)
    assert seen_by(stage, first) == "GPU-00000003,GPU-00000006"
    waits = stage.create("waits", gpu_indexes="1,6", gpu_memory_gib=20, steps=1)
    stage.until(lambda: why(stage, waits))
    assert why(stage, waits) == "Waits for GPU 1, 6 with 20.0 GiB free, as it asks for. GPU 6 is taken by “first”."
    hosts.reserve(stage.workspace, "GPU-00000001", "eve")
    service.stop(stage.workspace, first.id)
    stage.until(lambda: why(stage, waits).endswith("free, as it asks for. GPU 1 is reserved by eve."))
    hosts.release(stage.workspace, "GPU-00000001", "eve")
    assert stage.wait_for(waits).state == "completed"
    assert service.history(stage.workspace, waits.id)[0][0].devices == ["GPU-00000001", "GPU-00000006"]
    monkeypatch.setenv("PLATFORM_HOME", str(stage.home))
    assert main(["jobs", "show", waits.id]) == 0
    assert ", GPU 1, 6  completed" in capsys.readouterr().out


def _me() -> str:
    return service.current_user()

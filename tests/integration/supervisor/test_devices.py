"""A real supervisor with eight GPUs, played by a fake NVML: what it samples, and what the doctor makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from platform_core.alerts import service as alerts
from platform_core.clock import now
from platform_core.hosts import history
from platform_core.hosts import service as hosts
from platform_core.hosts.devices import Snapshot
from platform_core.hosts.place import folder, this_host
from platform_core.jobs import service
from platform_core.metrics.reader import Reader

from .stage import ROOT, Stage, kill

GIB = 2**30
LONG = {"steps": 100_000, "step_seconds": 0.02}
Cards = Callable[..., None]


@pytest.fixture
def cards(tell_nvml: Callable[..., None]) -> Cards:
    """Says how the eight GPUs are; an `error` for all of NVML, or numbers that are the same for each."""

    def write(error: str = "", **numbers: object) -> None:
        usual = {"name": "H200", "memory_total": 141 * GIB, "memory_used": 0, "utilization": 90, "temperature": 45,
                 "power": 120, "power_limit": 700, "processes": []}  # fmt: skip
        tell_nvml(error=error, gpus=[{"uuid": f"GPU-{index}", **usual, **numbers} for index in range(8)])

    write()
    return write


@pytest.fixture
def stage(gpu_stage: Stage, cards: Cards) -> Stage:
    return gpu_stage


def newest(stage: Stage) -> Snapshot | None:
    found = history.latest(stage.workspace)
    return found.snapshot if found is not None and found.fresh else None


def rules(stage: Stage) -> set[str]:
    return {alert.rule for alert in alerts.list_alerts(stage.workspace)}


def test_eight_gpus_are_sampled_and_nvml_may_die_and_come_back(stage: Stage, cards: Cards) -> None:
    days = folder(stage.workspace)
    days.mkdir(parents=True)
    for day in range(1, 21):
        (days / f"2020-02-{day:02}.sqlite").write_bytes(b"")
    stage.start_supervisor()
    stage.until(lambda: (seen := newest(stage)) is not None and len(seen.gpus) == 8)
    assert len(list(days.glob("*.sqlite"))) <= history.DAYS_KEPT
    cards(error="UNKNOWN")
    stage.until(lambda: (seen := newest(stage)) is not None and seen.trouble == "Unknown Error" and not seen.gpus)
    cards(temperature=61)
    stage.until(lambda: (seen := newest(stage)) is not None and [g.temperature for g in seen.gpus] == [61.0] * 8)
    assert set(history.window(stage.workspace, "", 60)) >= {f"gpu.{n}.temperature" for n in range(8)} | {"cpu"}
    assert stage.supervisors[0].poll() is None


def test_what_a_job_uses_is_kept_with_it(stage: Stage, cards: Cards) -> None:
    stage.start_supervisor()
    job = stage.create(gpus=1, gpu_memory_gib=20, **LONG)
    runner = stage.processes(job).runner
    cards(processes=[{"pid": runner.pid, "memory": 3 * GIB}], memory_used=3 * GIB)
    path = history.job_file(stage.workspace, job.id)

    def used() -> dict[str, float]:
        if not path.exists():
            return {}
        with Reader(path) as run:
            return {name: value for name, (_, value) in run.latest().items()}

    stage.until(lambda: {"cpu", "rss", "processes", "gpu.0.memory", "gpu.0.utilization"} <= used().keys())
    found = used()
    assert found["rss"] > 5 * 2**20
    assert found["cpu"] > 0
    assert found["processes"] == 1
    assert found["gpu.0.memory"] == 3 * GIB
    assert found["gpu.0.utilization"] == 90


def test_a_hot_gpu_of_a_job_is_told(stage: Stage, cards: Cards) -> None:
    stage.start_supervisor()
    job = stage.create(gpus=1, gpu_memory_gib=20, **LONG)
    stage.wait_for(job, "running")
    stage.until(lambda: newest(stage) is not None)
    assert "gpu_hot" not in rules(stage)
    cards(temperature=95)
    stage.until(lambda: "gpu_hot" in rules(stage), 90)
    told = next(a for a in alerts.list_alerts(stage.workspace) if a.rule == "gpu_hot")
    assert (told.level, told.host, "95 °C" in str(told.what)) == ("critical", this_host(), True)


def test_an_idle_gpu_is_told_by_a_supervisor_that_saw_only_the_end_of_it(stage: Stage, cards: Cards) -> None:
    cards(utilization=2)
    stage.settings["LATHE_TEST_CLOCK"] = "-280"
    first = stage.start_supervisor()
    job = stage.create(gpus=1, gpu_memory_gib=20, **LONG)
    stage.wait_for(job, "running")
    begun = service.history(stage.workspace, job.id)[0][0].launched_at
    assert begun < now() - 240

    def samples() -> list[Snapshot]:
        return [s for s in history.recent(stage.workspace, "", 420) if s.time >= begun and s.gpus]

    stage.until(lambda: len(samples()) >= 3)
    kill(first.pid)
    first.wait()
    del stage.settings["LATHE_TEST_CLOCK"]
    stage.start_supervisor()
    stage.until(lambda: "gpu_idle" in rules(stage), 90)


def test_a_damaged_file_of_samples_stops_nobody(stage: Stage, cards: Cards) -> None:
    path = history.file_of(stage.workspace, this_host(), now())
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 1000)
    cards(temperature=95)
    stage.start_supervisor()
    stage.create(gpus=1, gpu_memory_gib=20, **LONG)
    stage.until(lambda: "gpu_hot" in rules(stage), 90)


@pytest.mark.timeout(900)
def test_a_reserved_gpu_is_waited_for_until_it_is_released(stage: Stage, cards: Cards) -> None:
    def lathe(*words: str) -> str:
        command = [sys.executable, "-m", "app.cli", *words]
        run = subprocess.run(command, env=stage.environment(), cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert run.returncode == 0, run.stderr
        return run.stdout

    stage.start_supervisor()
    stage.until(lambda: newest(stage) is not None)
    for index in (1, 2, 3, 4, 6, 7):
        hosts.reserve(stage.workspace, f"GPU-{index}", "eve")
    lathe("devices", "reserve", "5", "--reason", "a demo")
    job = stage.create("wide", gpus=2, gpu_memory_gib=20, steps=1)
    waits = stage.create("after", steps=1)
    stage.wait_for(waits)
    assert stage.state(job) == "queued"
    assert "GPU 1 is reserved by eve" in lathe("queue", "list")
    lathe("devices", "release", "5")
    assert stage.wait_for(job).state == "completed"
    assert service.history(stage.workspace, job.id)[0][0].devices == ["GPU-0", "GPU-5"]
    lathe("devices", "drain", "--reason", "new memory")
    last = stage.create("last", steps=1)
    assert "drained it" in lathe("queue", "list")
    assert stage.state(last) == "queued"
    lathe("devices", "undrain")
    assert stage.wait_for(last).state == "completed"

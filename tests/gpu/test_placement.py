"""Jobs of the real engine on a real GPU: what they see, who waits for whom, and what is told when memory runs out."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from platform_core.alerts import service as alerts
from platform_core.alerts.store import Alert
from platform_core.hosts.devices import Gpu
from platform_core.hosts.nvml import read_gpus
from platform_core.jobs import service
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from platform_core.queue import ordering
from tests.integration.supervisor.stage import Stage
from tests.integration.supervisor.test_gpus import seen_by
from tests.rows import write_rows

GIB = 2**30
SFT: dict[str, object] = {"model": "taught", "dataset": "digits.jsonl", "batch_size": 8, "max_length": 32, "seed": 3}
HOLD = """
import sys, torch
held = torch.empty(int(sys.argv[1]), dtype=torch.uint8, device="cuda")
print("holding", flush=True)
sys.stdin.read()
"""


@contextmanager
def foreign(held: int) -> Iterator[int]:
    """A program that is none of ours and has `held` bytes of the GPU; its process id."""
    command = [sys.executable, "-c", HOLD, str(held)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process.pid
        process.kill()


def sft(stage: Stage, name: str, **values: object) -> Job:
    return service.create(stage.workspace, "sft", SFT | {"cpu_slots": 1, "retries": 0} | values, name=name, start=True)


def why(stage: Stage, job: Job) -> str:
    wait = ordering.why(stage.workspace, job.id)
    return "" if wait is None else str(wait.reason)


def test_a_job_has_the_gpu_for_itself_and_tells_how_well_it_is_used(stage: Stage, card: Gpu) -> None:
    stage.start_supervisor()
    first = sft(stage, "first", max_steps=100_000, gpu_memory_gib=1)
    second = sft(stage, "second", max_steps=5, gpu_memory_gib=1)
    assert seen_by(stage, first) == card.uuid
    stage.until(lambda: stage.steps(first) > 20)
    assert "is taken by “first”" in why(stage, second)
    runner = stage.processes(first).runner
    stage.until(lambda: any(p.pid == runner.pid for gpu in read_gpus()[0] for p in gpu.processes))
    with Reader(metrics_file(stage.workspace, first)) as run:
        assert run.progress()["gpu_names"] == [card.name]
    stage.until(lambda: stage.steps(first) > 500)
    service.stop(stage.workspace, first.id)
    assert stage.wait_for(first).state == "stopped"
    assert stage.wait_for(second).state == "completed"
    assert service.history(stage.workspace, second.id)[0][0].devices == [card.uuid]


def test_memory_that_another_program_holds_is_waited_for(stage: Stage, card: Gpu) -> None:
    stage.start_supervisor()
    with foreign(int(0.5 * card.memory_total)) as pid:
        job = sft(stage, "patient", max_steps=5, gpu_memory_gib=0.7 * card.memory_total / GIB)
        stage.until(lambda: f"pid {pid}" in why(stage, job))
        assert stage.state(job) == "queued"
    assert stage.wait_for(job).state == "completed"


def test_memory_that_runs_out_is_named_and_the_fix_runs(stage: Stage, card: Gpu) -> None:
    """Eight layers keep some 400 GiB for the backward pass; half the rows with checkpointing need a tenth."""
    rng = random.Random(0)
    lines = ({"text": " ".join(str(rng.randrange(1000)) for _ in range(400))} for _ in range(1200))
    write_rows(stage.workspace.datasets / "long.jsonl", lines)
    stage.start_supervisor()
    wide: dict[str, object] = {"hidden_size": 1024, "layers": 8, "heads": 16, "kv_heads": 16, "intermediate_size": 4096}
    wide |= {"tokenizer": "taught", "dataset": "long.jsonl", "context_length": 1024, "max_length": 1024}
    asked: dict[str, object] = {"batch_size": 512, "max_steps": 1, "gpu_memory_gib": 1, "cpu_slots": 1, "retries": 0}
    job = service.create(stage.workspace, "pretrain", wide | asked, name="big", start=True)
    ended = stage.wait_for(job)
    assert ended.state == "failed"
    assert "memory" in str(ended.reason)

    def found() -> list[Alert]:
        return [a for a in alerts.of_job(stage.workspace, job.id) if a.rule == "gpu_memory"]

    stage.until(found)
    assert str(found()[0].what) == "The GPU's memory ran out."
    again = stage.wait_for(alerts.retry(stage.workspace, found()[0].id))
    assert again.state == "completed", again.reason

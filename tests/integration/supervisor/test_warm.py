"""Runners forked from the warm parent are the same runners, only sooner; without it they start from nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_core.jobs import processes, service
from platform_core.jobs.store import Job

from .conftest import FAKE_NVML
from .stage import REHEARSAL, ROOT, Stage, assert_true, kill

BEGINS_CUDA = """
import importlib, sys, torch
torch.cuda._is_in_bad_fork = lambda: True
sys.path.pop(sys.path.index(__path__[0].removesuffix("/bitsandbytes")))
del sys.modules["bitsandbytes"]
importlib.import_module("bitsandbytes")
"""
ON_A_GPU = """
import sys, torch, torch._dynamo, torch._inductor.utils
begun = []
torch.version.cuda, torch._C._cuda_getCurrentRawStream = "13.0", lambda device: 0
torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 2
torch.cuda._lazy_init = lambda: begun.append(1)
from runners.programs import preload
preload()
from bitsandbytes.cuda_specs import get_cuda_specs
from runners.untouched import cuda_untouched
with cuda_untouched():
    print("{}.{}".format(*get_cuda_specs().highest_compute_capability))
print("begun" if begun else "untouched")
print("compiler" if "torch._inductor.compile_fx" in sys.modules else "eager")
"""


def parent(stage: Stage) -> int | None:
    """The warm parent: the only one of its processes whose own parent is the supervisor."""
    rows = [processes.look_up(pid) for pid, command in stage.own_processes().items() if "runners.warm" in command]
    found = [row.pid for row in rows if row is not None and row.parent == stage.supervisors[-1].pid]
    return found[0] if found else None


def is_forked(stage: Stage, job: Job) -> bool:
    command = Path(f"/proc/{stage.processes(job).runner.pid}/cmdline").read_text()
    assert ("runners.warm" in command) != ("runners.programs.rehearsal" in command)
    return "runners.warm" in command


def test_jobs_are_forked_and_outlive_parent_and_supervisor(new_stage: Callable[..., Stage]) -> None:
    stage = new_stage(LATHE_WARM="frame")
    supervisor = stage.start_supervisor()
    stage.until(lambda: "warm parent ready" in stage.log())
    job = stage.create(steps=150, step_seconds=0.02, children=2)
    assert is_forked(stage, job)
    stage.until(lambda: stage.steps(job) >= 1)
    old = parent(stage)
    assert old is not None
    kill(old)
    cold = stage.create(steps=100, step_seconds=0.02)
    stage.until(lambda: "the warm parent (pid" in stage.log())
    stage.processes(cold)
    kill(supervisor.pid)
    supervisor.wait()
    stage.start_supervisor()
    for each in (job, cold):
        assert stage.wait_for(each).state == "completed"
        assert_true(stage, each)
    stage.until(lambda: parent(stage) not in (None, old))
    stage.until(lambda: stage.log().count("warm parent ready") >= 2)
    again = stage.create(steps=50, step_seconds=0.02)
    assert is_forked(stage, again)
    stage.wait_for(again)
    stage.until(lambda: len(stage.own_processes()) == 2)


def test_the_warm_parent_ends_with_its_supervisor(new_stage: Callable[..., Stage]) -> None:
    stage = new_stage(LATHE_WARM="frame")
    supervisor = stage.start_supervisor()
    stage.until(lambda: "warm parent ready" in stage.log())
    assert "1 thread(s)" in stage.log()
    assert len(stage.own_processes()) == 2
    kill(supervisor.pid)
    stage.until(lambda: not stage.own_processes())


def test_a_forked_run_sees_its_own_environment_and_log(new_stage: Callable[..., Stage]) -> None:
    stage = new_stage(LATHE_WARM="frame")
    stage.start_supervisor()
    stage.until(lambda: "warm parent ready" in stage.log())
    job = stage.wait_for(stage.create(steps=2, end="exit"))
    assert str(job.reason).startswith("The runner ended with exit code 7: CustomError: the lamp fell down")
    killed = stage.wait_for(stage.create(steps=2, end="segfault"))
    assert "SIGSEGV" in str(killed.reason)
    assert_true(stage, killed)


def test_forked_and_cold_runs_of_the_real_engine_give_the_same_model(new_stage: Callable[..., Stage]) -> None:
    digests = []
    for warm in ("all", "0"):
        stage = new_stage(LATHE_WARM=warm)
        rows = [json.dumps({"text": f"{n} plus {n} is {2 * n}."}) for n in range(300)]
        (stage.workspace.datasets / "texts.jsonl").write_text("\n".join(rows))
        tokenizer = service.create(stage.workspace, "tokenizer", {"dataset": "texts.jsonl"}, start=True)
        settings = {"dataset": "texts.jsonl", "tokenizer": f"job:{tokenizer.id}", "max_steps": 3, "cpu_slots": 1}
        model = service.create(stage.workspace, "pretrain", settings, start=True)
        stage.start_supervisor()
        assert stage.wait_for(model, seconds=200).state == "completed", stage.log()
        weights = stage.workspace.job_folder(model.id) / "output" / "model.safetensors"
        assert warm == "0" or ", 1 thread(s)" in stage.log()
        digests.append(hashlib.sha256(weights.read_bytes()).hexdigest())
        stage.close()
    assert digests[0] == digests[1]


@pytest.mark.thorough
def test_a_library_that_begins_cuda_costs_the_head_start_and_no_job(
    new_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    """Played by a bitsandbytes that marks its process as torch does, and then is the real one."""
    folder = tmp_path / "first" / "bitsandbytes"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(BEGINS_CUDA)
    stage = new_stage(LATHE_WARM="all", PYTHONPATH=os.pathsep.join(map(str, (folder.parent, ROOT, REHEARSAL))))
    stage.start_supervisor()
    stage.until(lambda: "warm parent ready" in stage.log())
    assert "has begun CUDA" in stage.log()
    assert "the next one is without them" in stage.log()
    job = stage.create(steps=50, step_seconds=0.02)
    assert is_forked(stage, job)
    assert stage.wait_for(job).state == "completed"


def test_imports_begin_neither_cuda_nor_the_compiler(tell_nvml: Callable[..., None]) -> None:
    tell_nvml(gpus=[{"uuid": "GPU-0", "capability": [9, 0]}, {"uuid": "GPU-1", "capability": [8, 0]}])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (FAKE_NVML, ROOT)))}
    done = subprocess.run([sys.executable, "-c", ON_A_GPU], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["9.0", "untouched", "eager"]


def test_a_job_that_waits_for_the_parent_to_load_can_be_stopped(new_stage: Callable[..., Stage]) -> None:
    stage = new_stage(LATHE_WARM="all")
    job = stage.create(steps=1)
    stage.start_supervisor()
    stage.wait_for(job, "starting")
    service.stop(stage.workspace, job.id, "ada")
    assert str(stage.wait_for(job).reason) == "Stopped by ada before it began."
    assert "warm parent ready" not in stage.log()
    assert stage.attempt(job).is_void()
    assert_true(stage, job)

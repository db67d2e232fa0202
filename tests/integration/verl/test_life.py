"""A training on verl in the hands of a real supervisor: stopped, killed, tried again; nothing of it is left behind."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from platform_core.jobs import service
from platform_core.jobs.states import ENDED
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from tests.integration.supervisor.stage import Stage
from tests.integration.verl.conftest import marked
from tests.integration.verl.jobs import ROLLOUT, SFT

pytestmark = pytest.mark.timeout(1200)
RAY = ("raylet", "gcs_server")


@pytest.fixture
def stage(tmp_path: Path, taught: Path, files: dict[str, Path]) -> Iterator[Stage]:
    made = Stage(tmp_path / "home", {"LATHE_STOP_GRACE": "120"})  # a step ends first, also on a busy machine
    shutil.copytree(taught, made.workspace.models / "taught")
    shutil.copy(files["grpo"], made.workspace.datasets / "sums.jsonl")
    shutil.copy(files["digits"], made.workspace.datasets / "answers.jsonl")
    yield made
    made.close()


def family(stage: Stage, job: Job) -> list[psutil.Process]:
    """Keeper, runner and all that they have started, by parentage and by the job's mark in the environment."""
    keeper = psutil.Process(stage.processes(job).keeper.pid)
    found = {process.pid: process for process in (keeper, *keeper.children(recursive=True))}
    token = stage.attempt(job).token
    for pid in marked(token):
        try:
            found.setdefault(pid, psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def assert_all_gone(stage: Stage, job: Job, known: list[psutil.Process]) -> None:
    alive = [p for p in known if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not alive, [p.cmdline() for p in alive]
    assert not marked(stage.attempt(job).token)
    assert not list(Path("/tmp").glob("lathe-ray-*")), "Ray's folder went with it"


def reaches(stage: Stage, job: Job, step: int) -> Callable[[], bool]:
    """Whether a job has trained `step`; fails when it ended before that."""

    def there() -> bool:
        assert stage.state(job) not in ENDED, stage.get(job).reason
        return stage.steps(job) >= step

    return there


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("sft", {**SFT, "dataset": "answers.jsonl", "batch_size": 4}),
        ("grpo", {**ROLLOUT, "dataset": "sums.jsonl"}),
    ],
)
def test_stopped_then_killed_it_leaves_no_process_and_goes_on(
    kind: str, settings: dict[str, object], stage: Stage
) -> None:
    asked = {**settings, "model": "taught", "max_steps": 100_000, "save_every": 1, "keep_checkpoints": 2, "retries": 0}
    stage.start_supervisor()
    job = service.create(stage.workspace, kind, asked, start=True)
    stage.until(reaches(stage, job, 2), 600)
    known = family(stage, job)
    assert has_ray(known) if kind == "grpo" else any("torch.distributed.run" in command(p) for p in known)
    service.stop(stage.workspace, job.id)
    stopped = stage.wait_for(job, seconds=240)
    assert stopped.state == "stopped"
    assert_all_gone(stage, job, known)
    at = stage.steps(job)

    service.start(stage.workspace, job.id)
    stage.until(lambda: stage.get(job).attempt == 2 and stage.state(job) == "running", 120)
    # The second start of Ray need not come to a step: `test_faults.py` has one that goes on.
    stage.until(reaches(stage, job, at + 2) if kind == "sft" else lambda: has_ray(family(stage, job)), 600)
    known = family(stage, job)
    psutil.Process(stage.processes(job).runner.pid).send_signal(signal.SIGKILL)
    killed = stage.wait_for(job, seconds=120)
    assert killed.state == "failed"
    assert "killed from outside" in str(killed.reason)
    assert "goes on from its last whole checkpoint" in str(killed.reason)
    assert_all_gone(stage, job, known)
    with Reader(stage.workspace.job_folder(job.id) / "metrics.sqlite") as reader:
        steps = reader.points("loss")[0].tolist()
    assert steps == list(range(1, len(steps) + 1)), "no gap, and no step twice"
    assert len(steps) >= at


def has_ray(known: list[psutil.Process]) -> bool:
    """Whether Ray's two servers and a worker are up."""
    names = " ".join(command(process) for process in known)
    return all(name in names for name in (*RAY, "ray::"))


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""

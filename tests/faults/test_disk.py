"""A disk that is full: at checkpoint, metric and log writes. The disk is a small one of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from platform_core import files
from platform_core.jobs import processes, service, trash
from tests.integration.supervisor.stage import Stage

from .truth import truth


@contextlib.contextmanager
def filled(disk: Path, leaving: int = 0) -> Iterator[None]:
    """Nothing but `leaving` bytes can be written."""
    ballast = disk / ".ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with ballast.open("r+b", buffering=0) as file:
        with contextlib.suppress(OSError):
            file.seek(0, 2)
            while True:
                file.write(bytes(512))
        file.truncate(max(0, file.seek(0, 2) - leaving))
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)


@pytest.mark.parametrize("leaving", [0, 20_000, 100_000])
def test_a_full_disk_at_a_checkpoint_is_told_and_the_job_goes_on_once_there_is_room(
    stage: Stage, small_disk: Path, leaving: int
) -> None:
    """The reason names the disk; no half checkpoint is left; started again, each step is there once."""
    stage.start_supervisor()
    job = stage.create(steps=120, step_seconds=0.02, save_every=10)
    stage.until(lambda: stage.steps(job) >= 12)
    with filled(small_disk, leaving):
        runner = stage.processes(job).runner
        stage.until(lambda: not processes.alive(runner))
        ended = stage.wait_for(job)
        assert ended.state == "failed"
        assert "disk is full" in str(ended.reason), ended.reason
    service.start(stage.workspace, job.id)
    assert stage.wait_for(job).state == "completed"
    truth(stage)


def test_with_retries_a_disk_that_was_full_for_a_while_costs_time_only(stage: Stage, small_disk: Path) -> None:
    """Nobody has to start the job again."""
    stage.start_supervisor()
    job = stage.create(steps=100, step_seconds=0.02, save_every=10, retries=50, retry_wait_seconds=0.5)
    stage.until(lambda: stage.steps(job) >= 12)
    with filled(small_disk):
        stage.until(lambda: stage.get(job).retried >= 1)
    stage.until(lambda: stage.state(job) == "completed")
    assert stage.get(job).attempt >= 2
    truth(stage)


def test_a_full_disk_at_metric_and_log_writes_loses_no_step(stage: Stage, small_disk: Path) -> None:
    """While nothing can be written the training goes on; what it measured is stored as soon as there is room."""
    stage.start_supervisor()
    job = stage.create(steps=200, step_seconds=0.02, save_every=1000, log_mib=0.001)
    stage.until(lambda: stage.steps(job) >= 10)
    runner = stage.processes(job).runner
    with filled(small_disk):
        Event().wait(1.5)
        assert processes.alive(runner)
        assert stage.state(job) == "running"
    ended = stage.wait_for(job)
    assert (ended.state, ended.attempt) == ("completed", 1)
    truth(stage)


def test_jobs_on_a_disk_of_their_own_go_to_the_trash_and_back(stage: Stage, small_disk: Path) -> None:
    """Nothing is copied, so that a full disk is no obstacle; an emptied row never stands for a folder that is there."""
    job = stage.create(start=False)
    folder = stage.workspace.job_folder(job.id)
    (folder / "checkpoint").write_bytes(bytes(5 * 2**20))
    with filled(small_disk):
        service.delete(stage.workspace, job.id)
        assert not folder.exists()
        assert stage.get(job).deleted_at is not None
        assert service.restore(stage.workspace, job.id).deleted_at is None
    assert (folder / "checkpoint").stat().st_size == 5 * 2**20
    assert trash.put(stage.workspace, folder, "orphans").is_dir()


def test_a_deleted_job_comes_back_to_a_disk_that_was_put_there_meanwhile(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    """It is copied whole, or stays in the trash."""
    job = stage.create(start=False)
    folder = stage.workspace.job_folder(job.id)
    (folder / "checkpoint").write_bytes(bytes(5 * 2**20))
    (folder / "newest").symlink_to("nowhere")
    service.delete(stage.workspace, job.id)
    disk: Path = request.getfixturevalue("small_disk")
    with filled(disk), pytest.raises(OSError, match="No space"):
        service.restore(stage.workspace, job.id)
    assert stage.get(job).deleted_at is not None
    assert list(disk.iterdir()) == []
    service.restore(stage.workspace, job.id)
    assert (folder / "checkpoint").read_bytes() == bytes(5 * 2**20)
    assert (folder / "newest").is_symlink()
    assert not (stage.workspace.trash / "jobs" / job.id).exists()


def test_a_file_moves_to_another_disk_whole_or_not_at_all(small_disk: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "rows.jsonl", small_disk / "data" / "rows.jsonl"
    source.write_bytes(b"x" * 2**20)
    target.parent.mkdir()
    with filled(small_disk), pytest.raises(OSError, match="No space"):
        files.move_whole(source, target)
    assert list(target.parent.iterdir()) == []
    files.move_whole(source, target)
    assert target.read_bytes() == b"x" * 2**20
    assert not source.exists()

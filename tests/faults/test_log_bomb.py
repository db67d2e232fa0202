"""A job that writes its log as fast as it can."""

from __future__ import annotations

import psutil
import pytest

from platform_core.jobs.folder import log_file
from platform_core.logs.file import LogFile
from platform_core.logs.page import tail
from tests.integration.supervisor.stage import Stage

from .truth import ROUNDS, truth

MEBIBYTES = 1024 if ROUNDS >= 100 else 96
GROWTH = 120 * 2**20
"""Far below the log; the doctor and the sampler load their libraries meanwhile."""


@pytest.mark.timeout(600)
def test_a_log_of_a_gigabyte_a_minute_costs_little_memory_and_loses_no_line(stage: Stage) -> None:
    """Supervisor and keeper stay small, pages are drawn meanwhile, older parts are packed, every line is there."""
    supervisor = psutil.Process(stage.start_supervisor().pid)
    job = stage.create(steps=40, step_seconds=0.1, save_every=100, log_mib=MEBIBYTES / 40)
    keeper = psutil.Process(stage.processes(job).keeper.pid)
    before, most, pages = supervisor.memory_info().rss, 0, 0
    kept = keeper.memory_info().rss
    path = stage.attempt(job).log
    while stage.state(job) not in ("completed", "failed"):
        most = max(most, supervisor.memory_info().rss)
        if path.exists():
            pages += bool(tail(path, 500).lines)
        if keeper.is_running():
            try:
                kept = max(kept, keeper.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
    assert stage.state(job) == "completed"
    assert pages >= 5
    assert most - before < GROWTH
    assert kept < 400 * 2**20
    stage.until(lambda: list(path.parent.glob("log.*.gz")) or MEBIBYTES < 80)
    with LogFile(path) as log:
        count, rest = 0, b""
        for piece in log.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.endswith(b"123456"):
                    assert int(line[:12]) == count
                    count += 1
    assert count == 40 * int(MEBIBYTES / 40 * 2**14)
    assert log_file(stage.workspace, stage.get(job)) == path
    truth(stage)

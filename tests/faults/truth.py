"""What must hold after every fault: nothing lost, no orphan, no state that is not true."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.jobs import processes, service
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ACTIVE, ENDED
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from runners.attempt import Attempt
from tests.integration.supervisor.stage import Stage, assert_true

ROUNDS = int(os.environ.get("LATHE_KILL_ROUNDS", "0"))
"""How often the tests with dice are repeated: 0, as in `make test`, for a few times each; `make faults` says more."""
SEED = int(os.environ.get("LATHE_KILL_SEED", "0"))


def dice(salt: str, number: int) -> random.Random:
    """The dice of one round, the same for the same seed."""
    return random.Random(f"{salt} {SEED + number}")


def truth(stage: Stage, seconds: float = 20.0) -> None:
    """Compare every row with files and processes. What is under way is given `seconds` to come to rest."""
    deadline = monotonic() + seconds
    while True:
        try:
            processes_are_told(stage)
            break
        except AssertionError:
            if monotonic() > deadline:
                raise
    for job in service.list_jobs(stage.workspace):
        if job.state in ENDED:
            assert_true(stage, job)
        if job.attempt:
            each_step_once(stage, job)


def processes_are_told(stage: Stage) -> None:
    """A job has processes while its row says so, and only then; each is told by its environment."""
    living = running_jobs(stage)
    jobs = {job.id: job for job in service.list_jobs(stage.workspace)}
    assert set(living) <= set(jobs), f"orphans {living}"
    for job in jobs.values():
        there = living.get(job.id, [])
        assert bool(there) == (job.state in ACTIVE), f"{job.id} is {job.state}, and these live: {there}\n{stage.log()}"
        if job.state in ("running", "pausing"):
            found = stage.attempt(job).read_processes()
            assert found is not None
            assert found.runner.pid in there, (job, there)


def running_jobs(stage: Stage) -> dict[str, list[int]]:
    """The processes of each job of this workspace: by LATHE_ATTEMPT in their environment, by record and descent."""
    found: dict[str, set[int]] = {}
    rows = processes.table()
    for path in stage.workspace.jobs.glob("*/attempts/*"):
        recorded = Attempt(path.parents[1], int(path.name)).read_processes()
        for who in (recorded.keeper, recorded.runner) if recorded else ():
            if processes.alive(who):
                below = {pid for pid in processes.descendants(who.pid, rows) if processes.identity(pid)}
                found.setdefault(path.parents[1].name, set()).update({who.pid} | below)
    for row in rows:
        if row.state in "ZXx":
            continue
        values = environment(row.pid)
        if "LATHE_ATTEMPT" in values and values.get("PLATFORM_HOME", str(stage.home)) == str(stage.home):
            found.setdefault(values["LATHE_ATTEMPT"].split(".")[0], set()).add(row.pid)
    ours = {path.name for path in stage.workspace.jobs.iterdir()}
    return {job: sorted(pids) for job, pids in found.items() if job in ours}


def environment(pid: int) -> dict[str, str]:
    """What a process was started with; nothing for one that has gone."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def each_step_once(stage: Stage, job: Job) -> None:
    """Every step that was reported is stored once, with its own value, however often it was run again."""
    with Reader(metrics_file(stage.workspace, job)) as run:
        steps, values = run.points("loss")
    assert max(Counter(steps.tolist()).values(), default=1) == 1
    if job.kind == "rehearsal":
        assert steps.tolist() == list(range(1, len(steps) + 1)), (job, steps)
        assert values.tolist() == [1 / step for step in steps.tolist()]
        if job.state == "completed":
            assert len(steps) == job.spec["steps"]

"""What the queue costs as it grows: 10,000 jobs in the list, 0 to 500 of them waiting, of 40 owners.

    python -m benchmarks.queue [--jobs 10000] [--rounds 15] [--waiting 0,10,100,500]

Measured in milliseconds, in one process with an open database: CPU time, median and worst of the rounds, and the median
of the wall time. The load of the machine is told at the beginning and the end.

    usage     what everybody used in the last week: the part of a decision that the supervisor keeps for a while
    decision  all that the supervisor does to decide who starts, usage counted anew; on a host that is full, where
              nothing starts, and on one with eight free GPUs, where the longest plan is made
    view      the queue's page and `lathe queue list`: order, reason and expected start of every waiting job
    jobs      the jobs page: counts by state and the newest 50
    verbs     moving the last job to the top: the most rows that one press writes
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert

from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.database.tables import attempts, dependencies, jobs, transitions
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.jobs import service
from platform_core.queue import ordering
from platform_core.queue import service as queue
from platform_core.queue.fair_share import read_usage
from platform_core.queue.placement import GIB, Capacity
from platform_core.workspace.service import Workspace, open_workspace

OWNERS = [f"person {n}" for n in range(40)]
RUNNING = 8
SPEC = {f"setting_{n}": n for n in range(45)}


def host() -> Capacity:
    """A host with 64 cores and eight GPUs, two of them in other people's hands."""
    used = (0, 0, 0, 0, 0, 0, 70, 79)
    gpus = tuple(Gpu(f"GPU-{i}", i, "H100", 80 * GIB, held * GIB) for i, held in enumerate(used))
    seen = Snapshot("host", now(), gpus, memory_total=512 * GIB, memory_available=500 * GIB)
    return Capacity(64, 512 * GIB, seen)


def fill(place: Workspace, total: int, waiting: int, full: bool, dice: random.Random) -> None:
    """Make the rows of all jobs anew; the newest of them wait, a few run."""
    at, rows, tried = now(), [], []
    for number in range(total):
        state = (
            "completed" if number < total - waiting - RUNNING else "running" if number < total - waiting else "queued"
        )
        made = at - 60.0 * (total - number)
        row: dict[str, Any] = {
            "id": f"{number:012}", "name": f"job {number}", "kind": "sft", "engine": "hf", "spec": SPEC,
            "spec_hash": "", "state": state, "since": made, "owner": dice.choice(OWNERS),
            "priority": dice.choice((-2, -1, 0, 0, 0, 1)),
            "cpu_slots": dice.choice((1, 2, 4)), "memory_bytes": dice.choice((1, 4, 16)) * GIB,
            "gpus": dice.choice((0, 1, 2)),
            "gpu_memory_bytes": 20 * GIB, "attempt": int(state != "queued"), "created_at": made, "queued_at": made,
            "latest": {f"metric_{n}": float(n) for n in range(30)}, "sparkline": [0.5] * 50, "started_at": made,
            "progress": {"step": 5, "total_steps": 10, "eta_seconds": 100.0, "updated_at": at, "phase": "running"},
        }  # fmt: skip
        if state == "running" and full:
            row["cpu_slots"] = 8
        rows.append(row)
        if state != "queued":
            tried.append({
                "job_id": row["id"], "number": 1, "host": "host", "interpreter": "python", "threads": row["cpu_slots"],
                "command": ["python"] * 6, "launched_at": made,
                "ended_at": made + 600 if state == "completed" else None,
                "outcome": "completed" if state == "completed" else None,
            })  # fmt: skip
    queued = [row["id"] for row in rows if row["state"] == "queued"]
    needs = [{"job_id": later, "needs_id": first} for first, later in zip(queued[::9], queued[4::9], strict=False)]
    with writing(place.engine) as connection:
        for table in (transitions, dependencies, attempts, jobs):
            connection.execute(delete(table))
        connection.execute(insert(jobs), rows)
        connection.execute(insert(attempts), tried)
        if needs:
            connection.execute(insert(dependencies), needs)


def decide(place: Workspace, have: Capacity) -> int:
    """All that the supervisor asks; how many jobs may start."""
    with reading(place.engine) as connection:
        if not queue.is_anyone_waiting(connection):
            return 0
        queue.hopeless(connection)
        return len(queue.claimable(connection, have))


def list_jobs(place: Workspace) -> None:
    """What the jobs page reads."""
    service.count_jobs(place)
    service.list_jobs(place, limit=50)


def move(place: Workspace, have: Capacity) -> None:
    """Move the last job to the top and back."""
    last = ordering.view(place, have).line.waiting[-1:]
    for job in last:
        ordering.put_back(place, ordering.move(place, job.id, "top"))


def count_usage(place: Workspace, have: Capacity) -> None:
    """What the supervisor counts anew when an attempt has begun or ended, or a minute has gone by."""
    with reading(place.engine) as connection:
        read_usage(connection, queue.whole(have))


def timed(work: Callable[[], object], rounds: int) -> str:
    """CPU median and worst, wall median, in milliseconds."""
    cpu, wall = [], []
    for _ in range(rounds):
        began, at = time.process_time(), time.perf_counter()
        work()
        cpu.append(1000 * (time.process_time() - began))
        wall.append(1000 * (time.perf_counter() - at))
    return f"{statistics.median(cpu):.1f} ({max(cpu):.1f}) {statistics.median(wall):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--waiting", default="0,10,100,500")
    given = parser.parse_args()
    have = host()
    columns = ("usage", "decision, full", "decision, free", "view", "jobs", "move+undo")
    print(f"CPU median (worst), wall median, ms; load {os.getloadavg()[0]:.1f}")
    print("  ".join(["waiting", *(f"{name:>20}" for name in columns)]))
    with tempfile.TemporaryDirectory() as folder:
        place = open_workspace(Path(folder) / "home")
        for waiting in map(int, given.waiting.split(",")):
            fill(place, given.jobs, waiting, True, random.Random(0))
            usage = timed(lambda: count_usage(place, have), given.rounds)
            full = timed(lambda: decide(place, have), given.rounds)
            view = timed(lambda: ordering.view(place, have), given.rounds)
            listed = timed(lambda: list_jobs(place), given.rounds)
            moved = timed(lambda: move(place, have), given.rounds)
            fill(place, given.jobs, waiting, False, random.Random(0))
            free = timed(lambda: decide(place, have), given.rounds)
            told = (usage, full, free, view, listed, moved)
            print("  ".join([f"{waiting:>7}", *(f"{one:>20}" for one in told)]), flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

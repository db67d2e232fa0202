"""kill -9 at random moments: whatever dies, every job ends in a state that is true, and nothing is left over.

`LATHE_KILL_ROUNDS` rounds (default 4) from `LATHE_KILL_SEED` (default 0); `make faults` runs more. A round that fails
prints its seed: `LATHE_KILL_ROUNDS=1 LATHE_KILL_SEED=<that>` repeats its choices.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event

import pytest

from platform_core.clock import monotonic
from platform_core.jobs import processes, service
from platform_core.jobs.states import ENDED
from platform_core.jobs.store import Job
from tests.integration.supervisor.stage import Stage, kill

from . import truth as checks
from .truth import truth

ROUNDS, SEED = checks.ROUNDS or 4, checks.SEED
MOST_KILLS = 4
SPAN_SECONDS = 1.5

Find = Callable[[Stage], list[int]]


def supervisors(stage: Stage) -> list[int]:
    return [p.pid for p in stage.supervisors if p.poll() is None]


def warm_parents(stage: Stage) -> list[int]:
    rows = [processes.look_up(pid) for pid, command in stage.own_processes().items() if "runners.warm" in command]
    return [row.pid for row in rows if row is not None and row.parent in supervisors(stage)]


def keepers(stage: Stage) -> list[int]:
    return [found[0] for found in _pairs(stage)]


def runners(stage: Stage) -> list[int]:
    return [found[1] for found in _pairs(stage)]


def _pairs(stage: Stage) -> list[tuple[int, int]]:
    known = [stage.attempt(job).read_processes() for job in service.list_jobs(stage.workspace)]
    pairs = [(p.keeper, p.runner) for p in known if p is not None]
    return [(k.pid, r.pid) for k, r in pairs if processes.alive(k) and processes.alive(r)]


TARGETS: Mapping[str, Find] = {
    "supervisor": supervisors,
    "warm parent": warm_parents,
    "keeper": keepers,
    "runner": runners,
}
"""What may be killed, and how its processes are found."""


def play(stage: Stage, seed: int, hits: Counter[str], targets: Mapping[str, Find] = TARGETS) -> list[Job]:
    """One round: a few jobs, some kills and a stop at random moments, a supervisor again whenever there is none."""
    dice = random.Random(seed)
    first = stage.create(f"{seed}.0", steps=dice.randint(2, 40), step_seconds=0.01, save_every=2, children=2)
    jobs = [
        first,
        stage.create(f"{seed}.1", needs=(first.id,), steps=dice.randint(2, 20), step_seconds=0.01, save_every=3),
        stage.create(f"{seed}.2", steps=dice.randint(2, 60), step_seconds=0.01, save_every=1),
        stage.create(f"{seed}.3", steps=5, step_seconds=0.01, end=dice.choice(["error", "exit", "kill"])),
    ]
    blows = sorted(
        (dice.uniform(0, SPAN_SECONDS), dice.choice(sorted(targets))) for _ in range(dice.randint(1, MOST_KILLS))
    )
    stop_at = dice.uniform(0, SPAN_SECONDS) if dice.random() < 0.5 else SPAN_SECONDS + 1
    victim = dice.choice(jobs)
    if not supervisors(stage):
        stage.start_supervisor()
    began = monotonic()
    for at, name in [*blows, (SPAN_SECONDS, "")]:
        if stop_at <= at:
            _wait_until(began + stop_at)
            _stop(stage, victim)
            stop_at = SPAN_SECONDS + 1
        _wait_until(began + at)
        found = targets[name](stage) if name else []
        if found:
            kill(dice.choice(sorted(found)))
            hits[name] += 1
        if not supervisors(stage) or (name == "supervisor" and found):
            stage.start_supervisor()
    return jobs


def _wait_until(moment: float) -> None:
    Event().wait(max(0.0, moment - monotonic()))


def _stop(stage: Stage, job: Job) -> None:
    if stage.state(job) not in ENDED:
        service.stop(stage.workspace, job.id, "dice")


def no_orphans(stage: Stage) -> bool:
    """Whether all that lives of the workspace is its supervisor with, maybe, its warm parent."""
    return set(stage.own_processes()) <= {*supervisors(stage), *warm_parents(stage)}


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_whatever_is_killed_the_states_are_true_and_nothing_is_left(new_stage: Callable[..., Stage]) -> None:
    stage = new_stage(LATHE_WARM="frame", LATHE_STOP_GRACE="1")
    ends, hits = Counter[str](), Counter[str]()
    for seed in range(SEED, SEED + ROUNDS):
        print(f"round with seed {seed}; killed so far {dict(hits)}", flush=True)
        jobs = play(stage, seed, hits)
        for job in jobs:
            ended = stage.wait_for(job)
            ends[ended.state] += 1
        stage.until(lambda: no_orphans(stage))
        truth(stage)
    print(f"{ROUNDS} rounds from seed {SEED}: killed {dict(hits)}, ended {dict(ends)}")
    assert ends["completed"] >= ROUNDS / 2
    assert ends["failed"] >= ROUNDS / 2
    assert sum(hits.values()) >= ROUNDS / 2


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_with_retries_every_job_ends_completed_by_itself(new_stage: Callable[..., Stage]) -> None:
    """Whatever is killed, nobody has to start anything again, and each step is there once with its value."""
    stage = new_stage(LATHE_WARM="frame", LATHE_STOP_GRACE="1")
    hits, retried = Counter[str](), 0
    for seed in range(SEED, SEED + ROUNDS):
        print(f"round with seed {seed}; killed so far {dict(hits)}", flush=True)
        dice = checks.dice("retries", seed)
        patient = {"retries": 50, "retry_wait_seconds": 0.05, "step_seconds": 0.01}
        jobs = [
            stage.create(
                f"{seed}.{n}", steps=dice.randint(10, 80), save_every=dice.randint(1, 5), children=n, **patient
            )
            for n in range(3)
        ]
        if not supervisors(stage):
            stage.start_supervisor()
        began = monotonic()
        for at in sorted(dice.uniform(0, SPAN_SECONDS) for _ in range(5)):
            _wait_until(began + at)
            name = dice.choice(["runner", "runner", "runner", *sorted(TARGETS)])
            if found := TARGETS[name](stage):
                kill(dice.choice(sorted(found)))
                hits[name] += 1
            if not supervisors(stage) or name == "supervisor":
                stage.start_supervisor()
        for job in jobs:
            stage.until(lambda job=job: stage.state(job) in ("completed", "stopped"), 180)
            retried += stage.get(job).attempt - 1
            assert stage.state(job) == "completed"
        stage.until(lambda: no_orphans(stage))
        truth(stage)
    print(f"{ROUNDS} rounds from seed {SEED}: killed {dict(hits)}, {retried} starts more than jobs")
    assert retried >= ROUNDS / 2

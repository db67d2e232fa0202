"""Who passes whom, why a job waits, and when it will start."""

from __future__ import annotations

import math
from typing import Any

import pytest

from platform_core.errors import text
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.queue.line import Entry, Line, Needed, Runs
from platform_core.queue.placement import GIB, Capacity
from platform_core.queue.plan import plan
from platform_core.queue.waiting import Wait, seconds_left, waits

NOW = 10_000.0
GPUS = tuple(Gpu(f"G{i}", i, "H100", 80 * GIB, 0) for i in range(4))
HAVE = Capacity(8, 64 * GIB, Snapshot("h", NOW, GPUS))


def values(job_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": job_id, "name": job_id, "kind": "sft", "state": "queued", "since": NOW - 60, "owner": "ada",
        "priority": 0, "position": None, "queued_at": NOW - 60, "not_before": None, "cpu_slots": 1, "memory_bytes": GIB,
        "gpus": 0,
        "gpu_memory_bytes": 0, "time_limit": None, "retried": 0, "attempt": 0, "started_at": None, "reason": None,
    } | more  # fmt: skip


def waiting(job_id: str, **more: Any) -> Entry:
    return Entry(**values(job_id, **more))


def running(job_id: str, eta: float | None = None, devices: tuple[str, ...] = (), **more: Any) -> Runs:
    progress = {} if eta is None else {"eta_seconds": eta, "updated_at": NOW, "phase": "running"}
    known = {"state": "running", "started_at": NOW - 100, "gpus": len(devices)} | more
    return Runs(**values(job_id, **known), devices=devices, progress=progress)


def line(*jobs: Entry, needs: dict[str, tuple[Needed, ...]] | None = None) -> Line:
    active = tuple(j for j in jobs if isinstance(j, Runs))
    return Line(NOW, tuple(j for j in jobs if not isinstance(j, Runs)), active, needs or {})


def starts(*jobs: Entry, have: Capacity = HAVE) -> list[str]:
    return [s.job.id for s in plan(line(*jobs), have).starts]


def why(*jobs: Entry, have: Capacity = HAVE, needs: dict[str, tuple[Needed, ...]] | None = None) -> dict[str, Wait]:
    seen = line(*jobs, needs=needs)
    return waits(seen, have, plan(seen, have))


def test_nobody_passes_a_job_that_waits_for_cores() -> None:
    jobs = running("r", cpu_slots=4), waiting("big", cpu_slots=8), waiting("small")
    assert starts(*jobs) == []
    found = why(*jobs)
    assert str(found["big"].reason) == "Waits for 8 CPU cores: 4 of 8 are taken by “r”."
    assert str(found["small"].reason).startswith("Waits for its turn: “big” is before it")


def test_a_job_without_gpus_passes_one_that_waits_for_gpus_as_long_as_its_cores_stay_free() -> None:
    r, big = running("r", devices=("G0",)), waiting("big", gpus=4, cpu_slots=5)
    assert starts(r, big, waiting("x"), waiting("y"), waiting("z")) == ["x", "y"]
    assert starts(r, big, waiting("gpu", gpus=1)) == []


def test_a_job_that_waits_for_others_programs_keeps_nothing() -> None:
    full = Capacity(
        8, 64 * GIB, Snapshot("h", NOW, tuple(Gpu(f"G{i}", i, "H100", 80 * GIB, 79 * GIB) for i in (0, 1)) + GPUS[2:])
    )
    assert starts(waiting("three", gpus=3), waiting("one", gpus=1), have=full) == ["one"]
    assert starts(waiting("three", gpus=3), waiting("one", gpus=1), have=HAVE) == ["three", "one"]


def test_a_host_that_is_drained_starts_nothing_and_says_so() -> None:
    drained = Capacity(8, drained=text("This host takes no new jobs."))
    assert starts(waiting("a"), have=drained) == []
    found = why(waiting("a"), have=drained)["a"]
    assert (str(found.reason), str(found.expected)) == ("This host takes no new jobs.", "not known")


def test_start_not_before_and_dependencies_come_before_slots() -> None:
    later, after = waiting("later", not_before=NOW + 90), waiting("after")
    found = why(later, after, running("r", eta=60.0), needs={"after": (Needed("r", "r", "running", False),)})
    assert str(found["later"].reason) == "Was told to start later: in 1 min 30 s."
    assert str(found["later"].expected) == "in about 2 min"
    assert str(found["after"].reason) == "Waits for the output of “r”, which is running."
    assert (found["after"].low, found["after"].high) == pytest.approx((54.0, 66.0))
    assert starts(later, waiting("past", not_before=NOW - 1)) == ["past"]


def test_a_paused_job_that_others_need_is_named_and_nothing_is_promised() -> None:
    found = why(waiting("a"), needs={"a": (Needed("p", "p", "paused", False),)})["a"]
    assert str(found.reason) == "Waits for the output of “p”, which is paused: start it."
    assert str(found.expected) == "not known"


def test_a_retry_keeps_its_sentence() -> None:
    said = text("Retry 1 of 2 in 10 s: killed.")
    found = why(waiting("a", retried=1, reason=said, not_before=NOW + 7))["a"]
    assert str(found.reason) == "Retry 1 of 2 in 10 s: killed. It starts in 7 s."


def test_the_expected_start_is_a_range_from_what_runs() -> None:
    found = why(running("r", cpu_slots=8, eta=100.0), waiting("a", cpu_slots=8), waiting("b", cpu_slots=8))
    assert (found["a"].low, found["a"].high) == pytest.approx((90.0, 110.0))
    assert str(found["b"].expected) == "in 2 min or later"
    assert math.isinf(found["b"].high)
    limited = why(
        running("r", cpu_slots=8, eta=100.0), waiting("a", cpu_slots=8, time_limit=300.0), waiting("b", cpu_slots=8)
    )
    assert limited["b"].high == pytest.approx(410.0)
    unknown = why(running("r", cpu_slots=8), waiting("a", cpu_slots=8))
    assert str(unknown["a"].expected) == "not known"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0, 0.0, "within a moment"),
        (0.0, math.inf, "not known"),
        (math.inf, math.inf, "not known"),
        (0.0, 180.0, "within 3 min"),
        (120.0, 300.0, "in 2 min to 5 min"),
        (3600.0, math.inf, "in 1 h or later"),
    ],
)
def test_an_expected_start_in_words(low: float, high: float, said: str) -> None:
    assert str(Wait(text("x"), low, high).expected) == said


def test_what_is_left_is_bounded_by_the_time_limit() -> None:
    assert seconds_left(running("r"), NOW) == (0.0, math.inf)
    low, high = seconds_left(running("r", time_limit=400.0), NOW)
    assert (low, high) == (0.0, 360.0)
    assert seconds_left(running("r", eta=1e6, time_limit=400.0), NOW)[1] == 360.0
    assert seconds_left(running("r", state="stopping"), NOW)[1] == 60.0


def test_gpus_that_others_hold_do_not_make_a_start_look_near() -> None:
    seen = (GPUS[0], GPUS[1], Gpu("G2", 2, "H100", 80 * GIB, 79 * GIB), GPUS[3])
    have = Capacity(8, 64 * GIB, Snapshot("h", NOW, seen), reserved={"G3": "eve"})
    found = why(running("r", eta=100.0, devices=("G0",)), waiting("two", gpus=2, gpu_memory_bytes=20 * GIB), have=have)
    assert (found["two"].low, found["two"].high) == pytest.approx((90.0, 110.0))

"""Which jobs may start, and what the rows say afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from platform_core.clock import now
from platform_core.database.engine import writing
from platform_core.errors import text
from platform_core.ids import new_id
from platform_core.jobs import store
from platform_core.jobs.progress import seconds_taken
from platform_core.jobs.states import State
from platform_core.jobs.store import Job
from platform_core.queue import service as queue
from platform_core.queue.placement import Capacity
from platform_core.queue.service import Chosen
from platform_core.workspace.service import open_workspace


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Connection]:
    with writing(open_workspace(tmp_path / "home").engine) as connection:
        yield connection


def add(
    rows: Connection, state: State = "queued", *, slots: int = 1, priority: int = 0, needs: tuple[str, ...] = ()
) -> str:
    job_id = new_id()
    values = {
        "id": job_id, "name": job_id, "kind": "tokenizer", "engine": "hf", "spec": {}, "spec_hash": "", "state": state,
        "since": now(), "owner": "ada", "priority": priority, "cpu_slots": slots, "attempt": 0, "created_at": now(),
    }  # fmt: skip
    store.insert_job(rows, values, needs, "ada")
    return job_id


def ids(chosen: list[Chosen]) -> list[str]:
    return [c.job.id for c in chosen]


def get(rows: Connection, job_id: str) -> Job:
    job = store.get_job(rows, job_id)
    assert job is not None
    return job


def claim(rows: Connection, job_id: str) -> int:
    return queue.claim(rows, get(rows, job_id), 1, host="h", interpreter="p", command=["p"])


def test_higher_priority_first_then_longer_waiting(rows: Connection) -> None:
    first, second, urgent = add(rows), add(rows), add(rows, priority=1)
    assert ids(queue.claimable(rows, Capacity(8))) == [urgent, first, second]
    assert store.count_jobs(rows)["queued"] == 3


def test_slots_of_running_jobs_are_taken_and_nobody_overtakes_a_big_job(rows: Connection) -> None:
    add(rows, "running", slots=1)
    add(rows, "stopping", slots=1)
    small, big, later = add(rows, slots=1), add(rows, slots=2), add(rows, slots=1)
    assert ids(queue.claimable(rows, Capacity(2))) == []
    assert ids(queue.claimable(rows, Capacity(3))) == [small]
    assert ids(queue.claimable(rows, Capacity(4))) == [small]
    assert ids(queue.claimable(rows, Capacity(6))) == [small, big, later]


def test_a_job_bigger_than_the_machine_takes_all_of_it(rows: Connection) -> None:
    big = add(rows, slots=64)
    assert ids(queue.claimable(rows, Capacity(2))) == [big]
    assert claim(rows, big) == 1
    add(rows)
    assert ids(queue.claimable(rows, Capacity(2))) == []


@pytest.mark.parametrize("state", ["pending", "queued", "running", "paused", "stopping"])
def test_a_job_waits_for_what_it_needs(rows: Connection, state: State) -> None:
    needed, done = add(rows, state), add(rows, "completed")
    waiting, ready = add(rows, needs=(needed, done)), add(rows, needs=(done,))
    found = ids(queue.claimable(rows, Capacity(8)))
    assert ready in found
    assert waiting not in found
    assert queue.hopeless(rows) == []


def test_a_job_whose_needed_job_is_over_fails_with_its_name(rows: Connection) -> None:
    failed, stopped, deleted = add(rows, "failed"), add(rows, "stopped"), add(rows, "completed")
    store.update_job(rows, deleted, deleted_at=now())
    reasons = {
        add(rows, needs=(n,)): said for n, said in ((failed, "failed"), (stopped, "was stopped"), (deleted, "deleted"))
    }
    found = dict(queue.hopeless(rows))
    assert found.keys() == reasons.keys()
    for job_id, said in reasons.items():
        assert said in str(found[job_id])
        assert queue.give_up(rows, job_id, found[job_id])
        assert not queue.give_up(rows, job_id, found[job_id])
    assert queue.hopeless(rows) == []


def test_a_claim_wins_once_and_is_undone_without_losing_the_place(rows: Connection) -> None:
    first, second = add(rows), add(rows)
    job = get(rows, first)
    assert claim(rows, first) == 1
    assert queue.claim(rows, job, 1, host="h", interpreter="p", command=["p"]) == 0
    claimed = get(rows, first)
    assert (claimed.state, claimed.attempt) == ("starting", 1)
    assert queue.requeue(rows, claimed, text("It never began."))
    assert not queue.requeue(rows, claimed, text("It never began."))
    assert get(rows, first).state == "queued"
    assert claim(rows, first) == 2
    assert [a.outcome for a in store.attempts_of(rows, first)] == ["void", None]
    assert second in ids(queue.claimable(rows, Capacity(8)))


@pytest.mark.parametrize("state", ["starting", "running", "pausing"])
def test_a_paused_run_is_written_with_every_step_between(rows: Connection, state: State) -> None:
    job_id = add(rows)
    claim(rows, job_id)
    if state != "starting":
        assert queue.mark_running(rows, get(rows, job_id))
    if state == "pausing":
        assert store.change_state(rows, job_id, ("running",), "pausing", "ada")
    assert queue.settle(rows, get(rows, job_id), "paused", text("Paused."), result={"step": 3})
    job = get(rows, job_id)
    assert (job.state, job.result, job.finished_at) == ("paused", {"step": 3}, None)
    changes = [t.to_state for t in store.transitions_of(rows, job_id)]
    assert changes == ["queued", "starting", "running", "pausing", "paused"]


def test_a_job_that_changed_meanwhile_is_not_settled(rows: Connection) -> None:
    job_id = add(rows)
    claim(rows, job_id)
    seen = get(rows, job_id)
    assert store.change_state(rows, job_id, ("starting",), "stopping", "ada")
    assert not queue.settle(rows, seen, "failed", text("No."))
    assert queue.stopped_by(rows, job_id) == "ada"
    result = {"metrics": {"loss": float("nan"), "per_layer": [1.0, float("inf")]}, "step": 3}
    assert queue.settle(rows, get(rows, job_id), "stopped", text("Yes."), exit_code=0, result=result)
    assert get(rows, job_id).result == {"metrics": {"loss": None, "per_layer": [1.0, None]}, "step": 3}
    (attempt,) = store.attempts_of(rows, job_id)
    assert (attempt.outcome, attempt.exit_code) == ("stopped", 0)


def test_last_values_are_plain_json_with_those_that_matter_first() -> None:
    latest = {f"m{n:03}": (1, float(n)) for n in range(200)} | {"bytes_per_token": (1, float("nan"))}
    found = queue.last_values("tokenizer", latest)
    assert next(iter(found)) == "bytes_per_token"
    assert found["bytes_per_token"] is None
    assert len(found) == queue.LATEST
    assert queue.main_metric("tokenizer") == "bytes_per_token"
    assert queue.main_metric("of the future") is None


def test_the_time_taken_is_that_of_all_attempts_that_began(rows: Connection) -> None:
    job, other = add(rows), add(rows)
    at = now()
    for number, began, ended, outcome in (
        (1, at - 900, at - 840, "paused"), (2, at - 500, at - 495, "void"), (3, at - 400, at - 410, "failed"),
        (4, at - 30, None, None),
    ):  # fmt: skip
        store.add_attempt(
            rows, job_id=job, number=number, host="h", interpreter="python", command=[], threads=1, launched_at=began,
            ended_at=ended, outcome=outcome,
        )  # fmt: skip
    assert seconds_taken(get(rows, job)) is None, "it never started, says its row"
    store.update_job(rows, job, started_at=at - 30)
    assert seconds_taken(get(rows, job)) == pytest.approx(60 + 30, abs=5)
    assert {j.id: round(j.ran_seconds, -1) for j in store.find_jobs(rows)} == {job: 90, other: 0}

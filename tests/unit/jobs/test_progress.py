"""How far a job is, as its row tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from platform_core.clock import now
from platform_core.jobs.progress import headline, seconds_left, seconds_taken
from platform_core.jobs.store import Job

RUNNING = Job(
    id="0123456789ab", name="a run", kind="sft", engine="hf", spec={}, spec_hash="", state="running", since=0.0,
    reason=None, owner="ada", group_name=None, priority=0, cpu_slots=1, attempt=1, created_at=0.0, started_at=1000.0,
    finished_at=1090.0, deleted_at=None, progress={}, latest={"loss": 0.5}, sparkline=[], result={},
    ran_seconds=90.0,
)  # fmt: skip


def test_the_result_counts_more_than_the_last_value_of_the_run() -> None:
    assert headline(RUNNING) == ("loss", 0.5)
    assert headline(replace(RUNNING, result={"metrics": {"loss": 0.25}})) == ("loss", 0.25)
    assert headline(replace(RUNNING, result={"metrics": None})) == ("loss", 0.5)


@pytest.mark.parametrize("latest", [{}, {"loss": None}, {"loss": True}, {"other": 1.0}])
def test_no_number_that_matters_is_no_headline(latest: dict[str, Any]) -> None:
    assert headline(replace(RUNNING, latest=latest)) is None


def test_a_kind_that_is_not_known_any_more_has_no_headline() -> None:
    assert headline(replace(RUNNING, kind="gone")) is None


def test_the_forecast_grows_old() -> None:
    told = {"phase": "running", "eta_seconds": 60, "updated_at": now() - 20}
    left = seconds_left(replace(RUNNING, progress=told))
    assert left is not None
    assert 39 < left <= 40
    assert seconds_left(replace(RUNNING, progress={**told, "updated_at": now() - 3600})) == 0.0


@pytest.mark.parametrize(
    ("state", "phase", "eta"),
    [("stopping", "running", 60), ("running", "saving", 60), ("running", "running", None), ("completed", "running", 0)],
)
def test_outside_of_its_steps_nothing_is_forecast(state: Any, phase: str, eta: float | None) -> None:
    job = replace(RUNNING, state=state, progress={"phase": phase, "eta_seconds": eta, "updated_at": now()})
    assert seconds_left(job) is None


def test_before_its_first_attempt_no_time_was_taken() -> None:
    assert seconds_taken(RUNNING) == 90
    assert seconds_taken(replace(RUNNING, started_at=None)) is None

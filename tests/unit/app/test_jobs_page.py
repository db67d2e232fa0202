"""The list of jobs: filters in the address, paging by the database, ten thousand rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest

from app import table
from platform_core.clock import now
from platform_core.database.engine import writing
from platform_core.database.tables import jobs as rows
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.workspace.service import Workspace
from tests.unit.app.runs import SPEC, add_job
from tests.unit.app.test_monitor import said

Open = Callable[..., AppTest]
Shown = list[table.Row]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The rows that the page hands to the table when it was drawn last; the table draws itself in the browser."""
    kept: Shown = []
    drawn = table._drawn

    def keep(columns: object, given: list[table.Row], *more: object) -> object:
        kept[:] = given
        return drawn(columns, given, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(table, "_drawn", keep)
    return kept


def names(shown: Shown) -> set[str]:
    return {str((row.cells["name"] or {})["text"]) for row in shown}


def test_without_jobs_the_page_says_what_to_do(opened: Open, workspace: Workspace) -> None:
    at = opened("jobs")
    assert not at.exception
    assert "No jobs yet" in said(at)


def test_the_address_is_the_filter(opened: Open, workspace: Workspace, shown: Shown) -> None:
    add_job(workspace, "running", name="alpha")
    add_job(workspace, "failed", name="beta")
    add_job(workspace, "failed", name="gamma", kind="grpo")
    opened("jobs")
    assert names(shown) == {"alpha", "beta", "gamma"}
    at = opened("jobs", state="failed", kind="grpo")
    assert names(shown) == {"gamma"}
    assert at.pills(key="jobs.state").value == ["failed"]
    at = opened("jobs", q="BET")
    assert names(shown) == {"beta"}
    assert at.text_input(key="jobs.q").value == "BET"
    at = opened("jobs", q="nothing fits")
    assert "No job fits these filters." in said(at)


def test_what_is_typed_goes_into_the_address(opened: Open, workspace: Workspace, shown: Shown) -> None:
    add_job(workspace, "running", name="alpha")
    add_job(workspace, "failed", name="beta")
    at = opened("jobs")
    at.text_input(key="jobs.q").set_value("alp").run()
    assert names(shown) == {"alpha"}
    assert at.query_params["q"] == "alp"
    at.text_input(key="jobs.q").set_value("").run()
    assert "q" not in at.query_params
    at.pills(key="jobs.state").set_value(["failed"]).run()
    assert names(shown) == {"beta"}
    assert at.query_params["state"] == "failed"


@pytest.mark.parametrize(
    "query", [{"p": "0"}, {"p": "9" * 30}, {"p": "x"}, {"state": "nonsense"}, {"kind": "'; drop table jobs"}]
)
def test_nonsense_in_the_address_is_no_error(opened: Open, workspace: Workspace, query: dict[str, str]) -> None:
    add_job(workspace)
    at = opened("jobs", **query)
    assert not at.exception
    assert not at.error


def test_the_trash_gives_back(opened: Open, workspace: Workspace, shown: Shown) -> None:
    gone = add_job(workspace, "stopped", name="gone")
    add_job(workspace, "stopped", name="kept")
    jobs.delete(workspace, gone.id)
    opened("jobs")
    assert names(shown) == {"kept"}
    at = opened("jobs", trash="1")
    assert names(shown) == {"gone"}
    assert at.button(key="act.restore").disabled


def test_a_row_holds_state_progress_curve_and_metric(opened: Open, workspace: Workspace, shown: Shown) -> None:
    add_job(workspace, "running", steps=25)
    opened("jobs")
    cells = shown[0].cells
    assert (cells["state"] or {})["word"] == "Running"
    assert (cells["progress"] or {})["text"] == "25 / 100"
    assert (cells["progress"] or {})["share"] == 0.25
    assert (cells["spark"] or {})["values"] == [3.0, 2.0, 1.0]
    assert (cells["value"] or {})["text"] == "0.5"


def test_a_refused_action_is_said(opened: Open, workspace: Workspace) -> None:
    add_job(workspace, "running")
    at = opened("jobs")
    at.session_state["jobs.refused"] = [Problem("“{name}” is running: stop it first.", name="A run")]
    at.run()
    assert "stop it first" in said(at)


def test_ten_thousand_jobs_cost_one_page(opened: Open, workspace: Workspace, shown: Shown) -> None:
    made = now()
    states = ("completed", "failed", "stopped", "pending")
    many = [
        {
            "id": f"{i:012d}", "name": f"run {i}", "kind": "sft", "engine": "hf", "spec": SPEC, "spec_hash": "0",
            "state": states[i % 4], "since": made, "owner": "ann", "priority": 0, "cpu_slots": 1, "attempt": 0,
            "created_at": made - i, "sparkline": [float(j) for j in range(50)],
            "progress": {"step": i, "total_steps": 10_000},
        }
        for i in range(10_000)
    ]  # fmt: skip
    with writing(workspace.engine) as connection:
        connection.execute(insert(rows), many)
    at = opened("jobs")
    assert not at.exception
    assert len(shown) == 50
    assert "1–50 of 10,000" in said(at)
    opened("jobs", p="200")
    assert names(shown) == {f"run {i}" for i in range(9950, 10_000)}

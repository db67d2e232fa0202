"""The Reproduce button of the monitor: what it offers for which job, and what it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from platform_core.database.engine import writing
from platform_core.files import write_json
from platform_core.jobs import service, store, supervision, verify
from platform_core.jobs.inputs import hashes
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace

Open = Callable[..., AppTest]
SCRATCH = {"dataset": "sums.jsonl", "model": "tiny", "max_steps": 4, "cpu_slots": 1}


@pytest.fixture(autouse=True)
def _no_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "ensure", lambda home: True)


@pytest.fixture
def trained(workspace: Workspace, sums: str, model: str) -> Job:
    """A training whose first attempt was stopped, with what it recorded."""
    job = service.create(workspace, "sft", SCRATCH, name="sums <b>bold</b>")
    paths = {"model": workspace.models / "tiny", "dataset": workspace.datasets / sums}
    inputs = {field: hashes(path) for field, path in paths.items()}
    write_json(workspace.job_folder(job.id) / "attempts" / "1" / "provenance.json", {"inputs": inputs})
    with writing(workspace.engine) as connection:
        store.update_job(connection, job.id, attempt=1, state="stopped")
    return service.get(workspace, job.id)


def opened_panel(opened: Open, job: Job) -> AppTest:
    at = opened("monitor", job=job.id)
    at.session_state["act.reproduce"] = True
    return at.run()


def said(at: AppTest) -> str:
    return "\n".join(e.value for e in [*at.markdown, *at.caption, *at.success, *at.error, *at.warning])


def test_a_training_that_ran_offers_all_three(opened: Open, workspace: Workspace, trained: Job) -> None:
    at = opened_panel(opened, trained)
    assert not at.exception
    keys = {str(button.key) for button in at.button}
    assert {"reproduce.prove", "reproduce.again", "reproduce.export"} <= keys
    at.button(key="reproduce.prove").click().run()
    proof = verify.latest(workspace, trained)
    assert proof is not None
    assert proof.state == "queued"


def test_a_changed_input_is_asked_about(opened: Open, workspace: Workspace, trained: Job) -> None:
    with (workspace.datasets / "sums.jsonl").open("a") as file:
        file.write('{"prompt": "0+0=", "response": "0"}\n')
    at = opened_panel(opened, trained)
    at.button(key="reproduce.again").click().run()
    assert "sums.jsonl has changed since" in said(at).replace("\\", "")
    assert at.button(key="reproduce.again").label == "Run it anyway"
    assert len(service.list_jobs(workspace)) == 1
    at.button(key="reproduce.again").click().run()
    assert [job.name for job in service.list_jobs(workspace)] == ["sums <b>bold</b> (again)", "sums <b>bold</b>"]


def test_an_export_is_made_and_offered(opened: Open, workspace: Workspace, trained: Job) -> None:
    at = opened_panel(opened, trained)
    at.button(key="reproduce.export").click().run()
    assert not at.exception
    assert len(list((workspace.home / "exports").glob("*.zip"))) == 1
    assert "exports/sums-b-bold-b-" in said(at).replace("\\", "")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"identical": 1, "steps": 10, "points": 1234, "tensors": 5}, "Proved: 10 steps"),
        ({"identical": 0, "steps": 10, "difference": "loss at step 3: <b>1"}, "Not exact: loss at step 3: <b>1"),
    ],
)
def test_the_verdict_is_said(
    opened: Open, workspace: Workspace, trained: Job, found: dict[str, object], words: str
) -> None:
    proof = verify.create(workspace, trained.id)
    with writing(workspace.engine) as connection:
        store.update_job(connection, proof.id, state="completed", result={"metrics": found})
    assert words in said(opened_panel(opened, trained)).replace("\\", "")
    at = opened("monitor", job=proof.id, view="result")
    assert words in said(at).replace("\\", "")

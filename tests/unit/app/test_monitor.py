"""The monitor of one job, in every state that a job can be in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from platform_core.database.engine import writing
from platform_core.errors import text
from platform_core.hosts import history
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.hosts.place import folder
from platform_core.jobs import service as jobs
from platform_core.jobs import store
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import NEXT, State
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import Workspace
from tests.unit.app.runs import add_job, write_log, write_metrics

Open = Callable[..., AppTest]
TABS = ["Curves", "Gradients", "Log", "Samples", "Devices", "Result", "Settings", "History"]


def said(at: AppTest) -> str:
    """All running text of a page, without the marks that keep Markdown from reading it."""
    texts = [*at.markdown, *at.caption, *at.error, *at.warning, *at.info, *at.title, *at.subheader]
    return "\n".join(e.value for e in texts).replace("\\", "")


@pytest.mark.parametrize("state", list(NEXT))
@pytest.mark.slow
def test_every_state_has_a_page(opened: Open, workspace: Workspace, state: State) -> None:
    job = add_job(workspace, state, steps=10 if state not in ("pending", "queued") else 0)
    write_metrics(workspace, job, 10)
    at = opened("monitor", job=job.id)
    assert not at.exception
    assert not [e.value for e in at.error if state != "failed"]
    assert at.title[0].value == "A run"
    assert state.capitalize() in said(at)
    assert [tab.label for tab in at.tabs] == TABS


@pytest.mark.parametrize("view", [tab.lower() for tab in TABS])
def test_the_address_opens_a_view(opened: Open, workspace: Workspace, view: str) -> None:
    job = add_job(workspace, "running", steps=10)
    write_metrics(workspace, job, 10)
    write_log(workspace, job, "2026 INFO x: hello\n")
    at = opened("monitor", job=job.id, view=view)
    assert not at.exception
    assert not at.error
    assert at.session_state["monitor.view"] == view.capitalize()


def test_progress_says_step_epoch_speed_and_what_is_left(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "running", steps=40)
    write_metrics(workspace, job, 40)
    at = opened("monitor", job=job.id)
    page = said(at)
    for words in ("40 / 100", "0.50", "5,000", "Remaining"):
        assert words in page
    assert [b.label for b in at.button if b.key.startswith("act.")] == ["Pause", "Stop", "Clone"]


def test_it_says_which_gpus_a_job_has(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "running", steps=40)
    with writing(workspace.engine) as connection:
        store.update_job(connection, job.id, gpus=2)
        store.update_attempt(connection, job.id, 1, devices=["GPU-c", "GPU-f"])
    assert "GPU-c, GPU-f" in said(opened("monitor", job=job.id))  # its host has not been sampled yet
    cards = tuple(Gpu(f"GPU-{name}", index, "H100", 80 * 2**30, 0) for index, name in enumerate("abcdef"))
    place = folder(workspace, "here") / "2026-05-01.sqlite"
    place.parent.mkdir(parents=True)
    with Writer(place) as writer:
        writer.progress(snapshot=history.to_json(Snapshot("here", 0.0, cards)))
    assert "2, 5" in said(opened("monitor", job=job.id)).splitlines()


def test_what_a_training_made_is_one_press_from_its_evaluation(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "completed", steps=10)
    at = opened("monitor", job=job.id)
    assert [b.label for b in at.button if b.key.startswith("act.")][:2] == ["Evaluate it", "Clone"]
    other = opened("monitor", job=add_job(workspace, "completed", kind="evaluate").id)
    assert "Evaluate it" not in [b.label for b in other.button]


def test_what_failed_says_why_and_can_go_on(opened: Open, workspace: Workspace) -> None:
    reason = text("The disk is full: free some space and start the job again.")
    at = opened("monitor", job=add_job(workspace, "failed", reason=reason).id)
    assert "The disk is full" in at.error[0].value
    assert at.session_state["monitor.view"] == "Log"
    at.button(key="act.start").click().run()
    assert jobs.list_jobs(workspace)[0].state == "queued"
    assert not at.exception


def test_what_failed_can_be_started_again_by_one_button(opened: Open, workspace: Workspace) -> None:
    at = opened("monitor", job=add_job(workspace, "failed", reason=text("The disk is full.")).id)
    assert [b.label for b in at.button if b.label == "Start again"] == ["Start again"]
    at.button(key="act.start").click().run()
    assert jobs.list_jobs(workspace)[0].state == "queued"
    assert not at.exception
    assert not at.error


def test_how_curves_are_drawn_is_in_the_address(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "completed", steps=10)
    write_metrics(workspace, job, 10)
    at = opened("monitor", job=job.id, view="curves", charts="All", axis="time", scale="log", smoothing="0.25")
    assert not at.exception
    names = ("charts", "axis", "scale", "smoothing")
    assert [at.session_state[name] for name in names] == ["All", "time", "log", "0.25"]
    at.button_group(key="axis").set_value("step").run()
    at.select_slider(key="smoothing").set_value("0.9").run()
    assert "axis" not in at.query_params, "the default stays out of the address"
    assert at.query_params["smoothing"] == "0.9"
    assert at.query_params["charts"] == "All"


def test_an_address_that_means_nothing_is_the_default(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "completed", steps=10)
    write_metrics(workspace, job, 10)
    at = opened("monitor", job=job.id, view="curves", charts="<b>", axis="x", scale="", smoothing="nan")
    assert not at.exception
    assert not at.error
    assert [at.session_state[name] for name in ("charts", "axis", "smoothing")] == ["Main", "step", "0.6"]


def test_stop_is_a_wish_and_two_presses_are_one(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "running", steps=3)
    at = opened("monitor", job=job.id)
    at.button(key="act.stop").click().run()
    assert jobs.get(workspace, job.id).state == "stopping"
    assert not at.error
    states = [t.to_state for t in jobs.history(workspace, job.id)[1]]
    assert states.count("stopping") == 1


def test_a_start_that_is_refused_says_why(opened: Open, workspace: Workspace) -> None:
    needed = add_job(workspace, "failed", name="The base")
    job = add_job(workspace, "stopped", needs=[needed.id])
    at = opened("monitor", job=job.id)
    at.button(key="act.start").click().run()
    assert any("needs the output of “The base”" in e.value.replace("\\", "") for e in at.error)
    assert jobs.get(workspace, job.id).state == "stopped"


def test_a_job_that_waits_names_what_it_waits_for(
    opened: Open, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = add_job(workspace, "running", name="The base")
    job = add_job(workspace, "queued", needs=[base.id])
    assert "supervisor" in said(opened("monitor", job=job.id))
    monkeypatch.setattr("platform_core.jobs.supervision.is_alive", lambda home: True)
    page = said(opened("monitor", job=job.id)).replace("\\", "")
    assert "Waits for the output of “The base”, which is running. Expected start: not known." in page


@pytest.mark.parametrize("asked", ["gone", "../../etc/passwd", "<script>", "0" * 500])
def test_an_unknown_job_is_a_sentence_with_a_way_on(opened: Open, workspace: Workspace, asked: str) -> None:
    at = opened("monitor", job=asked)
    assert not at.exception
    assert "There is no job" in at.error[0].value
    assert at.button(key="act.all").label == "See all jobs"


def test_a_deleted_job_says_that_it_is_in_the_trash(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "stopped")
    jobs.delete(workspace, job.id)
    at = opened("monitor", job=job.id)
    assert "is in the trash" in at.error[0].value


def test_without_a_job_the_page_offers_some(opened: Open, workspace: Workspace) -> None:
    assert "No job to watch yet" in said(opened("monitor"))
    add_job(workspace)
    at = opened("monitor")
    assert "No job to watch yet" not in said(at)
    assert '"small": "SFT"' in str(at.get("bidi_component")[0].proto.json)


def test_damaged_metrics_leave_the_rest_of_the_page(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "running", steps=5)
    metrics_file(workspace, job).write_bytes(b"no database at all" * 100)
    at = opened("monitor", job=job.id)
    assert not at.exception
    assert at.error
    assert [tab.label for tab in at.tabs] == TABS
    assert at.button(key="act.stop")


def test_a_hostile_name_is_text(opened: Open, workspace: Workspace) -> None:
    name = "<img src=x onerror=alert(1)> **bold** [x](javascript:1) \u202egnp.exe :red[no]"
    at = opened("monitor", job=add_job(workspace, "running", name=name).id)
    assert "\u202e" not in at.title[0].value
    assert r"\*\*bold\*\*" in at.title[0].value
    assert r"\<img" in at.title[0].value


def test_a_kind_that_is_not_known_any_more_still_has_a_page(opened: Open, workspace: Workspace) -> None:
    at = opened("monitor", job=add_job(workspace, "completed", kind="gone").id)
    assert not at.exception
    assert at.title[0].value == "A run"


def test_delete_asks_by_name_and_undo_brings_it_back(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "stopped", name="Old run")
    at = opened("jobs")
    at.session_state["jobs.undo"] = (9e9, [jobs.delete(workspace, job.id)])
    at.run()
    assert "“Old run” is in the trash." in said(at)
    at.button(key="act.undo").click().run()
    assert jobs.get(workspace, job.id).deleted_at is None


def demo_of(workspace: Workspace, *states: State) -> list[str]:
    """Jobs of one demo group in the given states."""
    names = ("Demo tokenizer, seed 0", "Demo pretrain, seed 0")
    return [
        add_job(workspace, state, name=name, group="demo-0-abcdefghjkmn").id
        for name, state in zip(names, states, strict=True)
    ]


def test_the_page_goes_on_to_the_stage_that_runs(opened: Open, workspace: Workspace) -> None:
    done, running = demo_of(workspace, "completed", "running")
    assert opened("monitor", job=done).query_params["job"] == done
    at = opened("monitor", job=done, follow="1")
    assert not at.exception
    assert at.query_params["job"] == running
    assert at.toggle(key="monitor.follow").value is True
    at.toggle(key="monitor.follow").set_value(False).run()
    assert "follow" not in at.query_params


def test_a_finished_demo_leads_to_its_result(opened: Open, workspace: Workspace) -> None:
    first, _second = demo_of(workspace, "completed", "completed")
    at = opened("monitor", job=first)
    assert not at.toggle
    assert not at.exception


def test_the_page_speaks_chinese(opened: Open, workspace: Workspace) -> None:
    job = add_job(workspace, "running", steps=40)
    write_metrics(workspace, job, 40)
    at = opened("monitor", job=job.id, lang="zh")
    assert not at.exception
    assert len(at.tabs) == len(TABS)

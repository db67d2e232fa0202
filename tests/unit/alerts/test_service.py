"""Alerts: one open alert for what goes on, ended when it is gone, muted, seen, tried again with the fix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platform_core import clock
from platform_core.alerts import service as alerts
from platform_core.alerts import store
from platform_core.database.engine import writing
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs.store import Job, update_job
from platform_core.workspace.service import Workspace
from tests.unit.alerts.findings import finding
from tests.unit.app.runs import add_job

HOST = frozenset({"disk_low"})


class Hands:
    """The hands of the one clock."""

    def __init__(self) -> None:
        self.at = clock.now()

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    moved = Hands()
    for module in (alerts, store):
        monkeypatch.setattr(module, "now", moved)
    return moved


def keep(workspace: Workspace, job: Job, *found: object) -> None:
    alerts.keep(workspace, job, found, "here", HOST)  # type: ignore[arg-type]


def test_what_goes_on_is_one_alert_with_the_newest_evidence(workspace: Workspace, job: Job, hands: Hands) -> None:
    keep(workspace, job, finding(step=40))
    began = hands.at
    hands.at += 10
    keep(workspace, job, finding(step=50))
    (alert,) = alerts.list_alerts(workspace)
    assert (alert.since, alert.last_seen, alert.step) == (began, began + 10, 50)
    assert str(alert.what) == "Loss rose to 6.9 at step 50."
    assert alert.evidence.values == (3.0, None, 6.9)
    assert alert.evidence.lines == ("<b>line</b>",)
    assert alert.job_name == job.name


def test_it_ends_once_it_is_gone_for_a_while_and_coming_back_is_news(
    workspace: Workspace, job: Job, hands: Hands
) -> None:
    keep(workspace, job, finding())
    hands.at += alerts.QUIET_SECONDS - 1
    keep(workspace, job)
    assert alerts.list_alerts(workspace, open_only=True)
    hands.at += 2
    keep(workspace, job)
    assert not alerts.list_alerts(workspace, open_only=True)
    keep(workspace, job, finding())
    assert len(alerts.list_alerts(workspace)) == 2


def test_a_new_attempt_ends_what_was_said_of_the_one_before(workspace: Workspace, job: Job) -> None:
    keep(workspace, job, finding())
    keep(workspace, replace(job, attempt=2), finding("plateau", "info"))
    assert [a.rule for a in alerts.list_alerts(workspace, open_only=True)] == ["plateau"]


def test_what_becomes_worse_is_unseen_again(workspace: Workspace, job: Job) -> None:
    keep(workspace, job, finding())
    alerts.see(workspace, [a.id for a in alerts.asking(workspace)])
    keep(workspace, job, finding())
    assert alerts.count_asking(workspace)[0] == 0
    keep(workspace, job, finding(level="critical"))
    assert alerts.count_asking(workspace)[0] == 1


def test_a_host_has_one_alert_however_many_jobs_tell_it(workspace: Workspace, job: Job, hands: Hands) -> None:
    other = add_job(workspace, "running")
    for one in (job, other):
        keep(workspace, one, finding("disk_low", "critical"))
    (alert,) = alerts.list_alerts(workspace)
    assert (alert.job_id, alert.host) == (None, "here")
    hands.at += alerts.QUIET_SECONDS + 1
    alerts.end_hosts(workspace, "here")
    assert not alerts.list_alerts(workspace, open_only=True)


@pytest.mark.parametrize("well", [True, False])
def test_an_end_looked_at_twice_leaves_one_alert_each(workspace: Workspace, job: Job, hands: Hands, well: bool) -> None:
    keep(workspace, job, finding("no_progress"))
    for _ in range(2):
        found = [finding(), finding("plateau", "info"), finding("disk_low")]
        alerts.keep_end(workspace, job, found, HOST, hands.at, well)
    is_open = {a.rule: a.open for a in alerts.list_alerts(workspace)}
    assert is_open == {"no_progress": False, "loss_spike": True, "plateau": not well}
    assert len(alerts.list_alerts(workspace)) == 3


def test_a_mute_silences_a_rule_for_a_job_or_everywhere_and_passes(
    workspace: Workspace, job: Job, hands: Hands
) -> None:
    other = add_job(workspace, "running")
    for one in (job, other):
        keep(workspace, one, finding())
    alerts.mute(workspace, "loss_spike", job_id=job.id, seconds=60)
    assert [a.job_id for a in alerts.asking(workspace)] == [other.id]
    assert not alerts.of_job(workspace, job.id)
    hands.at += 61
    assert len(alerts.asking(workspace)) == 2
    alerts.mute(workspace, "loss_spike")
    alerts.mute(workspace, "loss_spike")
    assert alerts.count_asking(workspace)[0] == 0
    assert len(alerts.list_alerts(workspace)) == 2
    (mute,) = alerts.list_mutes(workspace)
    assert alerts.unmute(workspace, [mute.id]) == 1
    assert alerts.count_asking(workspace)[0] == 2


def test_alerts_of_deleted_jobs_ask_nobody(workspace: Workspace, job: Job) -> None:
    keep(workspace, job, finding())
    with writing(workspace.engine) as connection:
        update_job(connection, job.id, deleted_at=1.0)
    assert alerts.count_asking(workspace)[0] == 0
    assert not alerts.list_alerts(workspace)


@pytest.fixture
def runnable(workspace: Workspace) -> Job:
    """A job whose settings can run: its form asks for no model."""
    (workspace.datasets / "rows.jsonl").write_text('{"text": "one and two"}\n' * 50)
    job = jobs.create(workspace, "tokenizer", {"dataset": "rows.jsonl", "vocab_size": 300}, name="Words", start=True)
    with writing(workspace.engine) as connection:
        update_job(connection, job.id, attempt=1)
    return jobs.get(workspace, job.id)


def test_the_fix_makes_one_job_with_its_changes_and_links_both_ways(workspace: Workspace, runnable: Job) -> None:
    keep(workspace, runnable, finding(vocab_size=400, no_such_setting=1))
    alert = alerts.best_fix(workspace, runnable.id)
    assert alerts.changes(runnable, alert.fix) == [("vocab_size", 300, 400)]
    made = alerts.retry(workspace, alert.id, "ann")
    assert alerts.retry(workspace, alert.id).id == made.id
    assert (made.state, made.owner, made.spec["vocab_size"]) == ("queued", "ann", 400)
    assert made.spec | {"vocab_size": 300} == runnable.spec
    assert made.name == "Words (vocabulary 400)"
    assert jobs.get(workspace, runnable.id).state == "stopped"
    assert alerts.get(workspace, alert.id).made == made.id
    assert alerts.origin(workspace, made.id) == runnable.id
    keep(workspace, runnable, finding(vocab_size=400))
    assert alerts.get(workspace, alert.id).made == made.id
    assert len(jobs.list_jobs(workspace)) == 2


def test_a_second_fix_replaces_what_the_first_added_to_the_name(workspace: Workspace, runnable: Job) -> None:
    named = replace(runnable, name="Words (vocabulary 400)")
    assert alerts.fixed_name(named, [("vocab_size", 400, 500)]) == "Words (vocabulary 500)"
    kept = replace(runnable, name="Words (my own)")
    assert alerts.fixed_name(kept, [("vocab_size", 400, 500)]) == "Words (my own) (vocabulary 500)"


def test_a_fix_that_changes_nothing_is_refused(workspace: Workspace, runnable: Job) -> None:
    keep(workspace, runnable, finding(vocab_size=300))
    with pytest.raises(Problem, match="No alert of “Words” has a fix"):
        alerts.best_fix(workspace, runnable.id)
    with pytest.raises(Problem, match="changes no setting"):
        alerts.retry(workspace, alerts.list_alerts(workspace)[0].id)


def test_a_fix_that_cannot_run_leaves_no_job_behind_and_stops_nothing(workspace: Workspace, runnable: Job) -> None:
    keep(workspace, runnable, finding(vocab_size=-1))
    with pytest.raises(Problem, match="at least"):
        alerts.retry(workspace, alerts.list_alerts(workspace)[0].id)
    assert [j.state for j in jobs.list_jobs(workspace)] == ["queued"]


@pytest.mark.parametrize(("value", "words"), [(5e-6, "5e-6"), (1e6, "1e6"), (0.05, "0.05"), (True, "on"), (None, "–")])
def test_values_in_few_characters(value: object, words: str) -> None:
    assert alerts.shown(value) == words

"""Alerts in a real browser: the toast and the badge while a page is open, and the retry in one press."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from platform_core.alerts import service as alerts
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix
from platform_core.errors import text
from platform_core.files import read_json
from platform_core.jobs import service as jobs
from platform_core.jobs.states import ENDED, STOPPABLE
from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace
from tests.e2e.conftest import Server

pytestmark = pytest.mark.timeout(600)
Opened = Callable[..., None]
NAME = "Words <img src=x onerror=\"document.title='owned'\">"


@pytest.fixture
def job(server: Server) -> Iterator[Job]:
    """A real job that is completed and whose settings can run again."""
    place = server.workspace
    rows = "".join(json.dumps({"text": f"{i} and {i + 1}."}) + "\n" for i in range(200))
    (place.datasets / "alerted.jsonl").write_text(rows)
    made = jobs.create(
        place, "tokenizer", {"dataset": "alerted.jsonl", "vocab_size": 300, "cpu_slots": 1}, name=NAME, start=True
    )
    until(lambda: jobs.get(place, made.id).state in ENDED)
    ended = jobs.history(place, made.id)[1][-1].id
    until(lambda: ended in ((read_json(place.home / "watchdog.json") or {}).get("done") or []))  # type: ignore[operator]
    yield jobs.get(place, made.id)
    for other in jobs.list_jobs(place, states=list(STOPPABLE), search="Words"):
        jobs.stop(place, other.id)
    alerts.see(place, [a.id for a in alerts.asking(place)])


def until(done: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


def raise_alert(place: Workspace, job: Job) -> None:
    """What the doctor would find: a curve over its limit, and a fix."""
    found = Diagnosis(
        "loss_spike",
        "critical",
        text("Bytes rose to {value} at step {step}.", value=6.9, step=3),
        text("A dictionary this small splits every word."),
        Fix(text("Take a larger vocabulary."), {"vocab_size": 310}),
        3,
        Evidence("loss", (1, 2, 3), (3.0, 3.1, 6.9), 6.0),
    )
    alerts.keep_end(place, job, [found], frozenset(), time.time(), well=False)


def test_a_new_alert_shows_itself_and_one_press_tries_again_with_the_fix(
    page: Page, server: Server, opened: Opened, job: Job
) -> None:
    place = server.workspace
    opened(page, "/environment")
    expect(page.get_by_test_id("stToast")).to_have_count(0)
    raise_alert(place, job)
    toast = page.get_by_test_id("stToast")
    expect(toast).to_contain_text("Bytes rose to 6.9 at step 3.")
    expect(toast).to_contain_text(NAME)
    badge = page.get_by_test_id("stSidebar").get_by_role("link", name=re.compile("asks? for you"))
    expect(badge).to_be_visible()
    badge.click()
    page.get_by_role("link", name="Bytes rose to 6.9 at step 3.").click()
    card = page.locator("[class*='st-key-alert-']").filter(has_text="Take a larger vocabulary").first
    expect(card).to_contain_text("310")
    expect(card.locator(".live-chart .plot .main-svg").first).to_be_visible()
    card.get_by_role("button", name="Retry with the fix").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("(vocabulary 310)")
    made = alerts.list_alerts(place, job_id=job.id)[0].made
    assert made is not None
    until(lambda: jobs.get(place, made).state in ENDED)
    assert jobs.get(place, made).state == "completed"
    assert jobs.get(place, made).spec["vocab_size"] == 310
    expect(page.get_by_role("link", name=re.compile("A new try of"))).to_be_visible()
    assert page.title() != "owned"


def test_a_mute_is_said_and_taken_back(page: Page, server: Server, opened: Opened, job: Job) -> None:
    place = server.workspace
    raise_alert(place, job)
    opened(page, f"/monitor?job={job.id}")
    page.get_by_role("button", name="Mute").click()
    page.get_by_role("button", name="For a day").click()
    expect(page.get_by_text("Bytes rose to 6.9")).to_have_count(0)
    opened(page, "/alerts")
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Unmute")).to_have_count(0)
    assert not alerts.list_mutes(place)


def test_settings_are_judged_beside_the_field_and_say_who_saved_them(
    page: Page, server: Server, opened: Opened
) -> None:
    opened(page, "/settings")
    field = page.get_by_label("Webhook", exact=True)
    field.fill("ftp://example.org")
    field.press("Enter")
    expect(page.get_by_text("Webhook must be an address such as").first).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    field.fill("http://127.0.0.1:9/")
    field.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved just now.")).to_be_visible()
    page.get_by_role("button", name="Test the webhook").click()
    expect(page.get_by_text("inside this machine or a private network")).to_be_visible()
    field.fill("")
    field.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Alerts are shown on the pages only.")).to_be_visible()

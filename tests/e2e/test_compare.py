"""Two jobs are chosen, compared, and their report is opened as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import SETTLED, Server
from tests.unit.app.runs import add_job, write_metrics


def test_two_chosen_jobs_are_compared_and_their_report_opens_offline(
    new_page: Callable[..., Page], server: Server, tmp_path: Path
) -> None:
    for name, loss in (("compared <b>one</b>", 0.5), ("compared 两", 0.25)):
        job = add_job(server.workspace, "completed", name=name, steps=3, result={"metrics": {"loss": loss}})
        write_metrics(server.workspace, job, 3)
    page = new_page()
    page.goto(f"{server.url}/jobs?q=compared")
    page.wait_for_selector(SETTLED)
    for name in ("compared <b>one</b>", "compared 两"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url("**/compare?jobs=*")
    expect(page.get_by_role("heading", name="Curves")).to_be_visible()
    expect(page.get_by_text("best", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Report", exact=False).first.click()
    with page.expect_download() as loading:
        page.get_by_role("link", name="HTML, one file").click()
    target = tmp_path / "report.html"
    loading.value.save_as(target)
    text = target.read_text("utf-8")
    assert "<b>one</b>" not in text
    assert "compared 两" in text
    assert "<polyline" in text
    report = page.context.browser.new_page() if page.context.browser else page
    report.goto(target.as_uri())
    expect(report.get_by_role("heading", name="2 runs compared")).to_be_visible()
    report.close()

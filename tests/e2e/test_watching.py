"""Watching a real run in a real browser: curves, zoom, log, stop, start, delete, undo; hostile texts stay texts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from platform_core.jobs import service as jobs
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ENDED
from platform_core.jobs.store import Job
from platform_core.metrics.writer import Writer
from tests.e2e.conftest import Server

Opened = Callable[..., None]
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"> **bold** [x](javascript:alert(1)) $x^2$ :red[no] \u202egnp.exe"
)
CHART = ".st-key-curves .live-chart:has-text('Loss') .plot"
LAST_X = "node => { const x = node._fullData.at(-1).x; return x[x.length - 1]; }"
LAST_STEP = "() => +document.querySelector('.st-key-facts').innerText.match(/Step\\s+([\\d,]+)/)[1].replaceAll(',', '')"
OPACITY = """() => {
  let opacity = 1;
  for (let node = document.querySelector('.live-chart'); node; node = node.parentElement)
    opacity *= +getComputedStyle(node).opacity;
  return opacity;
}"""
LEAST_OPACITY = f"""seconds => new Promise(done => {{
  let least = 1;
  const end = performance.now() + seconds * 1000;
  const look = () => {{
    least = Math.min(least, ({OPACITY})());
    performance.now() < end ? requestAnimationFrame(look) : done(least);
  }};
  look();
}})"""
SIDEWAYS = """() => [...document.querySelectorAll('.stMain, .stMainBlockContainer, html')]
  .map(node => node.scrollWidth - node.clientWidth)"""


def wait_for(done: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


TAKE_AWAY = """() => {
  document.querySelectorAll('.live-chart .plot').forEach(node => node.remove());
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))));
}"""


@pytest.fixture(scope="module")
def run(server: Server) -> Iterator[Job]:
    """A real pretraining that goes on until the tests are over."""
    place = server.workspace
    (place.datasets / "rows.jsonl").write_text(
        "".join(json.dumps({"text": f"{i} and {i + 1}."}) + "\n" for i in range(400))
    )
    words = jobs.create(place, "tokenizer", {"dataset": "rows.jsonl", "vocab_size": 300, "cpu_slots": 1}, start=True)
    spec = {
        "dataset": "rows.jsonl",
        "tokenizer": f"job:{words.id}",
        "max_steps": 1_000_000,
        "batch_size": 2,
        "cpu_slots": 1,
    }
    made = jobs.create(place, "pretrain", spec, name="A long run", start=True)
    wait_for(lambda: (jobs.get(place, made.id).step or 0) > 20)
    yield made
    if jobs.get(place, made.id).state not in ENDED:
        jobs.stop(place, made.id)
        wait_for(lambda: jobs.get(place, made.id).state in ENDED)


def drag(page: Page) -> None:
    """Zoom into the middle of the chart."""
    box = page.locator(CHART).first.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=4)
    page.mouse.up()


def test_zoom_and_node_survive_new_points(page: Page, server: Server, opened: Opened, run: Job) -> None:
    opened(page, f"/monitor?job={run.id}")
    chart = page.locator(CHART).first
    page.wait_for_function("() => document.querySelector('.st-key-curves .live-chart .plot')?._fullLayout")
    wait_for(lambda: chart.evaluate(LAST_X) > 40)  # by then all metrics are there, and no chart is added any more
    chart.evaluate("node => { window.kept = node; }")
    before = chart.evaluate(LAST_X)
    drag(page)
    low, high = chart.evaluate("node => node._fullLayout.xaxis.range")
    assert low > 1
    page.wait_for_function(f"before => ({LAST_X})(window.kept) > before + 5", arg=before, timeout=60_000)
    assert chart.evaluate("node => node === window.kept"), "the chart was mounted anew"
    assert chart.evaluate("node => node._fullLayout.xaxis.range") == [low, high]
    inside = [x for x in chart.evaluate("node => [...node._fullData.at(-1).x]") if low <= x <= high]
    assert inside == list(range(int(inside[0]), int(inside[-1]) + 1)), "zoomed in, every step is drawn"
    page.locator(CHART).first.dblclick()
    page.wait_for_function("() => window.kept._fullLayout.xaxis.range[0] < 2")


@pytest.mark.parametrize(
    "view",
    [
        "axis=time",
        "axis=tokens&also=logx",
        *(pytest.param(view, marks=pytest.mark.thorough) for view in ("axis=tokens", "axis=epoch", "also=clip,logx")),
    ],
)
def test_a_zoom_survives_new_points_on_every_axis(
    page: Page, server: Server, opened: Opened, run: Job, view: str
) -> None:
    opened(page, f"/monitor?job={run.id}&{view}")
    page.wait_for_function("() => document.querySelector('.st-key-curves .live-chart .plot')?._fullLayout")
    chart = page.locator(CHART).first
    chart.evaluate("node => { window.kept = node; }")
    meta = chart.evaluate("node => node._fullLayout.meta.axis")
    assert meta.split(":")[0] == {"axis=time": "time", "also=clip,logx": "step-log"}.get(view, meta)
    wide = chart.evaluate("node => node._fullLayout.xaxis.range")
    drag(page)
    low, high = chart.evaluate("node => node._fullLayout.xaxis.range")
    assert wide[0] < low < high < wide[1]
    before = chart.evaluate(LAST_STEP)
    page.wait_for_function(f"before => ({LAST_STEP})(window.kept) > before + 5", arg=before, timeout=60_000)
    assert chart.evaluate("node => node === window.kept"), "the chart was mounted anew"
    assert chart.evaluate("node => node._fullLayout.xaxis.range") == [low, high]
    assert chart.evaluate("node => node._fullLayout.meta.axis") == meta


def test_the_page_never_greys_out(page: Page, server: Server, opened: Opened, run: Job) -> None:
    opened(page, f"/monitor?job={run.id}")
    page.wait_for_function("() => document.querySelector('.st-key-curves .live-chart .plot')?._fullLayout")
    before = page.locator(CHART).first.evaluate(LAST_X)
    assert page.evaluate(LEAST_OPACITY, 6) == 1
    assert page.locator(CHART).first.evaluate(LAST_X) > before
    page.evaluate(TAKE_AWAY)  # as under load, where a chart goes before its component hears of it: no error comes


def test_the_log_follows_is_filtered_and_searched(page: Page, server: Server, opened: Opened, run: Job) -> None:
    opened(page, f"/monitor?job={run.id}&view=log")
    box = page.get_by_role("log")
    expect(box).to_contain_text("INFO lathe.train: step")
    length = len(box.inner_text())
    wait_for(lambda: len(box.inner_text()) > length)
    page.get_by_text("Errors", exact=True).click()
    expect(box).to_have_text("No errors.")
    page.get_by_text("All", exact=True).click()
    page.get_by_label("Search the log").fill("LOADING the model")
    page.keyboard.press("Enter")
    expect(box).to_contain_text("loading the model")
    expect(box).not_to_contain_text("lathe.train: step")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{run.id}.log"


def test_a_view_and_how_it_is_drawn_have_an_address(page: Page, server: Server, opened: Opened, run: Job) -> None:
    opened(page, f"/monitor?job={run.id}")
    page.get_by_role("tab", name="Settings").click()
    page.wait_for_url("**view=settings*")
    page.reload()
    expect(page.get_by_role("tab", name="Settings", selected=True)).to_be_visible()
    expect(page.get_by_text("max_steps: 1000000")).to_be_visible()
    page.get_by_role("tab", name="Curves").click()
    page.get_by_role("radio", name="Logarithmic").click()
    page.wait_for_url("**scale=log*")
    page.reload()
    expect(page.get_by_role("radio", name="Logarithmic")).to_be_checked()
    expect(page.get_by_role("radio", name="Steps")).to_be_checked()
    page.get_by_role("radio", name="Linear").click()
    page.wait_for_url(lambda url: "scale" not in url)


def test_a_run_pauses_and_goes_on_where_it_was(page: Page, server: Server, opened: Opened, run: Job) -> None:
    place = server.workspace
    opened(page, f"/monitor?job={run.id}")
    page.get_by_role("button", name="Pause", exact=True).click()
    wait_for(lambda: jobs.get(place, run.id).state == "paused")
    paused = jobs.get(place, run.id)
    expect(page.get_by_text(f"Paused after step {paused.result['step']}.").first).to_be_visible()
    assert (place.job_folder(run.id) / "checkpoints" / f"step-{paused.result['step']}" / "complete.json").is_file()
    page.get_by_role("button", name="Go on", exact=True).click()
    wait_for(lambda: (jobs.get(place, run.id).step or 0) > paused.result["step"])


def test_stop_start_twice_delete_undo(page: Page, server: Server, opened: Opened, run: Job) -> None:
    place = server.workspace
    opened(page, f"/monitor?job={run.id}")
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_for(lambda: jobs.get(place, run.id).state == "stopped")
    again = page.get_by_role("button", name="Start again")
    expect(again).to_be_visible()
    attempts = len(jobs.history(place, run.id)[0])
    again.dblclick()
    wait_for(lambda: jobs.get(place, run.id).state == "running")
    assert len(jobs.history(place, run.id)[0]) == attempts + 1, "two presses made more than one start"
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_for(lambda: jobs.get(place, run.id).state == "stopped")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Delete “A long run”?")).to_be_visible()
    page.get_by_role("button", name="Move to trash").click()
    expect(page.get_by_text("“A long run” is in the trash.")).to_be_visible()
    assert jobs.get(place, run.id).deleted_at is not None
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="A long run")).to_be_visible()
    assert jobs.get(place, run.id).deleted_at is None
    assert place.job_folder(run.id).is_dir()


def test_jobs_are_chosen_and_opened_in_the_list(page: Page, server: Server, opened: Opened) -> None:
    place = server.workspace
    values = {"dataset": "rows.jsonl", "vocab_size": 300}
    (place.datasets / "rows.jsonl").write_text('{"text": "one two"}\n' * 50)
    first, second = (jobs.create(place, "tokenizer", values, name=f"Waiting {n}") for n in (1, 2))
    opened(page, "/jobs?q=Waiting")
    start = page.get_by_role("button", name="Start", exact=True)
    expect(start).to_be_disabled()
    page.get_by_role("checkbox", name="Choose Waiting 1").check()
    expect(start).to_be_enabled()
    expect(page.get_by_text("1 chosen")).to_be_visible()
    start.click()
    wait_for(lambda: jobs.get(place, first.id).state == "completed")
    expect(page.get_by_text("Completed").first).to_be_visible()
    assert jobs.get(place, second.id).state == "pending"
    page.get_by_role("link", name="Waiting 2").click()
    page.wait_for_url(f"**/monitor?job={second.id}*")
    expect(page.get_by_role("heading", name="Waiting 2")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("checkbox", name="Choose Waiting 2")).to_be_visible()


@pytest.fixture(scope="module")
def hostile(server: Server) -> Job:
    """A job whose name and samples want to be more than text."""
    place = server.workspace
    (place.datasets / "rows.jsonl").write_text('{"text": "one two"}\n' * 50)
    made = jobs.create(place, "tokenizer", {"dataset": "rows.jsonl", "vocab_size": 300}, name=HOSTILE)
    with Writer(metrics_file(place, made)) as writer:
        writer.metrics(1, {HOSTILE: 1.0, "loss": 2.0})
        writer.sample(
            1, prompt=HOSTILE, completion=f"</dd><script>document.title='owned'</script>{HOSTILE}", other=HOSTILE
        )
    return made


@pytest.mark.parametrize("path", ["/", "/jobs", "/monitor", "/monitor?job={id}", "/monitor?job={id}&view=samples",
                                  "/monitor?job={id}&view=settings", "/monitor?job={id}&charts=All"])  # fmt: skip
def test_hostile_texts_stay_texts(page: Page, server: Server, opened: Opened, hostile: Job, path: str) -> None:
    opened(page, path.format(id=hostile.id))
    page.wait_for_timeout(1500)
    assert page.locator("img[src=x]").count() == 0
    assert "owned" not in page.title()
    assert page.locator("a[href^='javascript']").count() == 0
    if "job=" in path:
        heading = page.get_by_role("heading").first
        expect(heading).to_contain_text("<img src=x onerror=")
        expect(heading).to_contain_text("**bold** [x](javascript:alert(1)) $x^2$ :red[no]")
        assert "\u202e" not in heading.inner_text()
    if path == "/jobs":
        expect(page.get_by_role("link", name="<img src=x").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_on_a_phone(
    new_page: Callable[..., Page], server: Server, opened: Opened, hostile: Job, scheme: Any
) -> None:
    page = new_page(viewport={"width": 420, "height": 900}, color_scheme=scheme)
    for path in ("/", "/jobs", "/environment", f"/monitor?job={hostile.id}", f"/monitor?job={hostile.id}&view=history"):
        opened(page, path)
        page.wait_for_timeout(700)
        wide = page.evaluate(SIDEWAYS)
        assert max(wide) <= 0, (path, wide)

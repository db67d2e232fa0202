"""The Devices page with eight GPUs, played by a fake NVML: reserve, release, drain and back, and what a job used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from platform_core.hosts import history, service
from platform_core.hosts.decisions import decisions
from platform_core.hosts.place import this_host
from platform_core.jobs import service as jobs
from platform_core.jobs.states import ENDED
from tests.e2e.conftest import ROOT, SETTLED, Server, serving

GIB = 2**30
SLOW = 40_000


@pytest.fixture(scope="module")
def gpu_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server and a supervisor that see eight GPUs."""
    folder = tmp_path_factory.mktemp("devices")
    gpus = [
        {"uuid": f"GPU-{i}", "name": "H200", "memory_total": 141 * GIB, "memory_used": i * GIB, "utilization": 10 * i,
         "temperature": 40 + i, "power": 100, "power_limit": 700, "processes": []} for i in range(8)
    ]  # fmt: skip
    (folder / "nvml.json").write_text(json.dumps({"gpus": gpus}))
    path = os.pathsep.join(map(str, (ROOT / "tests" / "fake_nvml", ROOT)))
    more = {"PYTHONPATH": path, "FAKE_NVML": str(folder / "nvml.json")}
    with serving(folder, **more) as started:
        environment = {**os.environ, "PLATFORM_HOME": str(started.home), "OMP_NUM_THREADS": "1", **more}
        subprocess.run([sys.executable, "-m", "app.cli", "supervisor", "start"], env=environment, cwd=ROOT, check=True)
        yield started


@pytest.fixture
def gpu_page(browser: Browser, gpu_server: Server) -> Iterator[Callable[..., Page]]:
    """Opens a path of that server; an error of a script fails the test."""
    contexts, wrong = [], []

    def go(path: str, width: int = 1440) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, locale="en-US"))
        page = contexts[-1].new_page()
        page.set_default_timeout(SLOW)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(gpu_server.url + path)
        page.locator(SETTLED).wait_for()
        return page

    yield go
    for context in contexts:
        context.close()
    assert not wrong, wrong


def until(done: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


def rows(place: Path) -> str:
    (place / "words.jsonl").write_text("".join(json.dumps({"text": f"{i} and {i + 1}."}) + "\n" for i in range(60_000)))
    return "words.jsonl"


def test_gpus_are_reserved_and_given_back_and_a_host_is_drained(
    gpu_server: Server, gpu_page: Callable[..., Page]
) -> None:
    place = gpu_server.workspace
    job = jobs.create(
        place, "tokenizer", {"dataset": rows(place.datasets), "vocab_size": 3000, "cpu_slots": 1}, name="Words",
        start=True,
    )  # fmt: skip
    until(lambda: (found := history.latest(place)) is not None and len(found.snapshot.gpus) == 8)
    page = gpu_page("/hosts")
    expect(page.locator("[class*='st-key-gpu-']")).to_have_count(8, timeout=SLOW)
    card = page.locator(".st-key-gpu-3")
    expect(card).to_contain_text("30 % busy · 43 °C · 100 W", timeout=SLOW)

    page.get_by_role("button", name="Reserve a GPU").click()
    form = page.get_by_test_id("stForm").filter(has_text="A job that runs on it goes on")
    form.get_by_role("combobox").click()
    page.get_by_role("option", name="GPU 3 · H200").click()
    form.get_by_label("Reason").fill("a demo <b>")
    form.get_by_role("button", name="Reserve").click()
    expect(card).to_contain_text("Reserved by", timeout=SLOW)
    expect(card).to_contain_text("a demo <b>", timeout=SLOW)
    assert service.reserved(place)["GPU-3"].reason == "a demo <b>"

    page.get_by_role("button", name="Release GPU 3").click()
    expect(page.get_by_text("GPU 3 is given to jobs again.")).to_be_visible(timeout=SLOW)
    assert service.reserved(place) == {}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Release GPU 3")).to_be_visible(timeout=SLOW)
    assert service.reserved(place)["GPU-3"].reason == "a demo <b>"
    page.get_by_role("button", name="Release GPU 3").click()
    expect(page.get_by_text("GPU 3 is given to jobs again.")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0, timeout=SLOW)

    page.get_by_role("button", name="Take no new jobs").click()
    form = page.get_by_test_id("stForm").filter(has_text="stay in the queue")
    form.get_by_role("button", name="Take no new jobs").click()
    expect(page.get_by_text(re.compile("starts no new jobs:"))).to_be_visible(timeout=SLOW)
    assert service.drained(place) is not None
    page.get_by_role("button", name="Take jobs again").click()
    expect(page.get_by_text(f"{this_host()} takes jobs again.")).to_be_visible(timeout=SLOW)
    assert service.drained(place) is None
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Take jobs again")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Take jobs again").click()
    expect(page.get_by_role("button", name="Take no new jobs")).to_be_visible(timeout=SLOW)
    verbs = [one.verb for one in reversed(decisions(place))]
    assert verbs == ["reserve", "release"] * 2 + ["drain", "undrain"] * 2
    page.get_by_text("Who reserved, released and drained").click()
    expect(page.locator(".st-key-decisions")).to_contain_text("released GPU 3", timeout=SLOW)

    narrow = gpu_page("/hosts", 420)
    expect(narrow.locator(".st-key-gpu-7")).to_be_visible(timeout=SLOW)
    wide = "document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"
    assert narrow.evaluate(wide), "no scrolling sideways"

    until(lambda: jobs.get(place, job.id).state in ENDED)
    monitor = gpu_page(f"/monitor?job={job.id}")
    monitor.get_by_role("tab", name="Devices").click()
    expect(monitor.locator(".st-key-job-devices .live-chart .main-svg").first).to_be_visible(timeout=SLOW)
    expect(monitor.locator(".st-key-job-devices")).to_contain_text("Memory of all its processes, GiB")

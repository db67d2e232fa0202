"""GRPO on verl in real Chromium: made in its form, its overrides read, watched, paused, resumed, its model found."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from platform_core.algorithms.registry import algorithm
from platform_core.jobs import service as jobs
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ENDED
from platform_core.metrics.reader import Reader
from platform_core.models.answers import answer
from platform_core.models.service import check_model
from tests.e2e.conftest import Server, browser, new_page, opened, page, server, tiny_model
from tests.integration.verl.conftest import marked

__all__ = ["browser", "new_page", "opened", "page", "server", "tiny_model"]

STEPS = 8
FORM = {
    "max_steps": str(STEPS), "batch_size": "8", "num_generations": "4", "max_completion_length": "4", "cpu_slots": "1",
    "save_every": "2", "kl_coef": "0.01",
}  # fmt: skip


def until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(1200)
def test_made_read_watched_paused_resumed_and_used(
    page: Page, server: Server, opened: Callable[..., None], tiny_model: str
) -> None:
    rows = [json.dumps({"prompt": f"{n}+{n}=", "answer": str(2 * n)}) for n in range(16)]
    (server.workspace.datasets / "sums.jsonl").write_text("\n".join(rows) + "\n")
    values = {**FORM, "model": tiny_model, "dataset": "sums.jsonl"}
    page.set_default_timeout(120_000)  # verl's config is composed by a process of its own
    opened(page, "/new-job?kind=grpo&" + "&".join(f"{name}={value}" for name, value in values.items()))
    main = page.get_by_test_id("stMain")
    expect(main.get_by_role("tab", name="verl")).to_have_count(0)
    main.get_by_role("radio", name="verl", exact=True).click()
    main.get_by_role("tab", name="verl").click()
    command = main.locator("code", has_text="runners.engines.verl.main_rl")
    expect(command).to_be_visible(timeout=120_000)
    for override in ("algorithm.adv_estimator=grpo", "actor_rollout_ref.rollout.n=4", "trainer.device=cpu",
                     "actor_rollout_ref.actor.kl_loss_coef=0.01"):  # fmt: skip
        expect(command).to_contain_text(override)
    expect(main).to_contain_text("Without a GPU, verl runs slowly here", timeout=120_000)
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled(timeout=120_000)
    start.click()
    page.wait_for_url("**/monitor?job=*")
    made = parse_qs(urlsplit(page.url).query)["job"][0]

    def job() -> jobs.Job:
        return jobs.get(server.workspace, made)

    def step() -> int:
        assert job().state not in ENDED or job().state == "completed", job().reason
        return job().step or 0

    until(lambda: step() >= 1, 600)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text(re.compile(r"Paused after step \d+")).first).to_be_visible(timeout=120_000)
    paused_at = step()
    assert 1 <= paused_at < STEPS
    assert not marked(f"LATHE_ATTEMPT={made}.1"), "a paused job holds nothing"
    page.get_by_role("button", name="Go on").click()
    until(lambda: job().state in ENDED, 600)
    assert job().state == "completed", job().reason
    expect(page.get_by_text("Completed").first).to_be_visible(timeout=120_000)
    with Reader(metrics_file(server.workspace, job())) as run:
        for metric in algorithm("grpo").metrics:
            assert run.points(metric)[0].tolist() == list(range(1, STEPS + 1)), metric
    opened(page, f"/models?ref=job:{made}")
    expect(page.get_by_role("heading", name=job().name)).to_be_visible()
    info = check_model(server.workspace, f"job:{made}")
    assert set(answer(server.home, {"it": info.path}, "3+3=", 4)) == {"it"}

"""A training that is paused, killed and retried while a browser watches: its numbers are those of one left alone."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from platform_core.jobs import service as jobs
from platform_core.jobs import supervision
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from platform_core.models.service import model_path

Server = Any
Opened = Callable[..., None]
STEPS = 700
BY_THE_CLOCK = ("tokens_per_second", "samples_per_second", "step_time")


def training(server: Server, model: str, name: str) -> Job:
    """A job that waits for its start: some seconds of SFT with a checkpoint now and then."""
    rows = [json.dumps({"prompt": f"{a}+{b}=", "response": str(a + b)}) for a in range(20) for b in range(10)]
    (server.workspace.datasets / "survive.jsonl").write_text("\n".join(rows) + "\n")
    values = {
        "model": model, "dataset": "survive.jsonl", "max_steps": STEPS, "learning_rate": 1e-3, "batch_size": 4,
        "save_every": 50, "cpu_slots": 1, "retry_wait_seconds": 10.0, "gradient_accumulation_steps": 2,
    }  # fmt: skip
    return jobs.create(server.workspace, "sft", values, name=name)


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def curves(server: Server, job: Job) -> dict[str, tuple[list[int], list[float]]]:
    with Reader(metrics_file(server.workspace, job)) as run:
        found = {name: run.points(name) for name in run.names() if name not in BY_THE_CLOCK}
    return {name: (steps.tolist(), values.tolist()) for name, (steps, values) in found.items()}


def weights(server: Server, job: Job) -> bytes:
    return (model_path(server.workspace, f"job:{job.id}") / "model.safetensors").read_bytes()


@pytest.mark.timeout(600)
def test_pause_kill_retry_and_compare(page: Page, server: Server, opened: Opened, tiny_model: str) -> None:
    straight, disturbed = (training(server, tiny_model, name) for name in ("Left alone", "Paused and killed"))

    def state() -> str:
        return jobs.get(server.workspace, disturbed.id).state

    def step() -> int:
        return jobs.get(server.workspace, disturbed.id).step or 0

    opened(page, f"/monitor?job={disturbed.id}")
    page.get_by_role("button", name="Start", exact=True).click()
    until(lambda: state() == "running" and step() > 10)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Paused after step")).to_be_visible(timeout=60_000)
    paused_at = step()
    assert 10 < paused_at < STEPS
    page.get_by_role("button", name="Go on").click()
    until(lambda: state() == "running" and step() > paused_at + 20)
    attempts, _changes = jobs.history(server.workspace, disturbed.id)
    assert attempts[-1].pid is not None
    os.kill(attempts[-1].pid, signal.SIGKILL)
    expect(page.get_by_text("Retry 1 of 2")).to_be_visible(timeout=60_000)
    until(lambda: state() == "completed")
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("The runner was killed from outside").first).to_be_visible()

    jobs.start(server.workspace, straight.id)
    supervision.ensure(server.home)
    until(lambda: jobs.get(server.workspace, straight.id).state == "completed")
    one, two = curves(server, straight), curves(server, disturbed)
    assert one.keys() == two.keys()
    for name, (steps, values) in one.items():
        assert steps == two[name][0], name
        np.testing.assert_array_equal(values, two[name][1], err_msg=name)
    assert weights(server, straight) == weights(server, disturbed)

    opened(page, f"/compare?jobs={straight.id},{disturbed.id}")
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    for job in (straight, disturbed):
        expect(page.get_by_text(job.name).first).to_be_visible()

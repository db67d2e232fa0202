"""Every algorithm from its form in the browser: made, run, watched by its own metrics, its model there to be used.

The kinds are those of the registry, so that one that is added is tried, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from platform_core.algorithms.registry import algorithms
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs.states import ENDED
from platform_core.metrics.reader import Reader
from platform_core.models.answers import answer
from platform_core.models.service import check_model
from tests.e2e.conftest import Server, make_tiny_model, serving

Opened = Callable[..., None]
KINDS = [kind.name for kind in algorithms().values() if kind.role == "train" and "hf" in kind.engines]
ROWS: dict[str, Callable[[int], dict[str, object]]] = {
    "pretrain": lambda n: {"text": f"{n} and {n} make {2 * n}."},
    "sft": lambda n: {"prompt": f"{n}+{n}=", "response": f"<think>{n}</think>{2 * n}"},
    "distill": lambda n: {"prompt": f"{n}+{n}=", "response": str(2 * n)},
    "grpo": lambda n: {"prompt": f"{n}+{n}=", "answer": str(2 * n)},
    "dpo": lambda n: {"prompt": f"{n}+{n}=", "chosen": str(2 * n), "rejected": str(2 * n + 1)},
    "reward_model": lambda n: {"prompt": f"{n}+{n}=", "chosen": str(2 * n), "rejected": str(2 * n + 1)},
    "kto": lambda n: {"prompt": f"{n}+{n}=", "completion": str(2 * n + n % 2), "label": n % 2 == 0},
}
SMALL = {
    "max_steps": "2",
    "batch_size": "8",
    "cpu_slots": "1",
    "max_length": "48",
    "max_completion_length": "8",
    "max_new_tokens": "8",
    "keep_unfinished": "true",
    "num_generations": "4",
    "hidden_size": "32",
    "start": "model",
}
ALIKE = ("orpo", "gspo", "cispo", "rloo", "distill_reasoning")
"""Forms that differ from another one by a setting or two."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: the other tests' forms choose by themselves where only one model is there."""
    with serving(tmp_path_factory.mktemp("every-algorithm")) as started:
        yield started


@pytest.fixture(scope="session")
def tiny_model(server: Server) -> str:
    return make_tiny_model(server)


@pytest.fixture(scope="session")
def data(server: Server) -> dict[str, str]:
    """A small dataset in the format of each family."""
    made = {}
    for family, row in ROWS.items():
        made[family] = f"rows-for-{family}.jsonl"
        text = "".join(json.dumps(row(n)) + "\n" for n in range(40))
        (server.workspace.datasets / made[family]).write_text(text)
    return made


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.thorough) if kind in ALIKE else kind for kind in KINDS]
)
def test_made_run_watched_and_used(
    kind: str, page: Page, server: Server, opened: Opened, tiny_model: str, data: dict[str, str]
) -> None:
    chosen = algorithms()[kind]
    fields = chosen.spec.model_fields
    values = {name: value for name, value in SMALL.items() if name in fields}
    values |= {name: tiny_model for name in ("model", "teacher") if name in fields}
    values["dataset"] = data[str(chosen.dataset_format)]
    opened(page, f"/new-job?kind={kind}&" + "&".join(f"{name}={value}" for name, value in values.items()))
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled(timeout=20_000)
    start.click()
    page.wait_for_url("**/monitor?job=*")
    made = parse_qs(urlsplit(page.url).query)["job"][0]
    deadline = time.monotonic() + 120
    while jobs.get(server.workspace, made).state not in ENDED and time.monotonic() < deadline:
        time.sleep(0.2)
    job = jobs.get(server.workspace, made)
    assert job.state == "completed", (job.state, job.reason)
    with Reader(server.workspace.job_folder(job.id) / "metrics.sqlite") as run:
        reported = set(run.names())
    assert reported & set(chosen.metrics[:2]), (chosen.metrics, reported)
    assert not [name for name in chosen.metrics if name not in reported and name not in OFTEN_ABSENT], reported
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=20_000)
    opened(page, f"/models?ref=job:{job.id}")
    expect(page.get_by_role("heading", name=job.name)).to_be_visible()
    try:
        info = check_model(server.workspace, f"job:{job.id}")
    except Problem as problem:
        raise AssertionError(str(problem)) from problem
    assert info.has_tokenizer
    if chosen.makes == "model":
        assert set(answer(server.home, {"it": info.path}, "3+3=", 4)) == {"it"}


OFTEN_ABSENT = {"kl", "tracker/rho"}
"""Metrics that a kind lists and that two steps at its defaults do not report."""

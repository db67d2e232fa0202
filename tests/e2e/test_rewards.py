"""A reward is built, tried, tested and saved in a real browser, from the menu to the form of a job; on a phone, too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from platform_core.datasets import service as datasets
from platform_core.rewards import service as rewards
from tests.e2e.conftest import SETTLED, Server, serving

CODE = "def score(completion, reference, prompt, row):\n    return len(completion) < 99, '<b>short</b>'\n"
LINES = [json.dumps({"prompt": f"{n}+{n}=", "answer": str(2 * n)}) for n in range(3, 9)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: the bench begins with the first dataset there is."""
    with serving(tmp_path_factory.mktemp("rewards")) as started:
        yield started


def settled(page: Page) -> None:
    page.wait_for_timeout(300)
    page.locator(SETTLED).wait_for()


def test_from_the_menu_to_a_job(
    page: Page, new_page: Callable[..., Page], server: Server, opened: Callable[..., None]
) -> None:
    datasets.receive(server.home, "doubles.jsonl", [("\n".join(LINES) + "\n").encode()])
    opened(page, "/")
    page.get_by_role("link", name="Rewards").click()
    main = page.get_by_test_id("stMain")
    main.get_by_role("button", name="New reward").click()
    page.get_by_role("button", name="Add a function").click()
    page.get_by_role("button", name="Your own Python").click()
    settled(page)
    page.keyboard.press("Escape")
    code = main.get_by_role("textbox", name="Your Python")
    code.fill(CODE)
    code.press("Control+Enter")
    settled(page)
    main.get_by_role("button", name="Try", exact=True).click()
    results = page.locator(".st-key-bench table")
    expect(results).to_contain_text("A hostile power tower")
    expect(results).to_contain_text("<b>short</b>")
    expect(main).to_contain_text("Code runs in bubblewrap")
    results.get_by_role("checkbox").nth(1).check()
    settled(page)
    main.get_by_role("button", name="Keep 1 as test cases").click()
    settled(page)
    expect(main).to_contain_text("Test cases (1)")
    main.get_by_role("button", name="Run all").click()
    expect(main).to_contain_text("passes")
    name = main.get_by_role("textbox", name="Name")
    name.fill("doubled")
    name.press("Enter")
    settled(page)
    main.get_by_role("button", name="Save", exact=True).click()
    main.get_by_role("button", name="Train with it").wait_for()
    saved = rewards.get(server.home, "doubled")
    assert [f.kind for f in saved.reward.functions] == ["exact_match", "custom_python"]
    assert [case.name for case in saved.cases] == ["Right, row 1"]
    assert saved.code is not None
    assert "<b>short</b>" in saved.code
    main.get_by_role("button", name="Train with it").click()
    page.get_by_role("link", name="Try this reward on answers").wait_for()
    phone = new_page(viewport={"width": 420, "height": 900}, color_scheme="dark")
    opened(phone, "/rewards?name=doubled&lang=zh")
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(phone.get_by_test_id("stMain")).to_contain_text("doubled")

"""What is around every page: language, YAML both ways in a real browser, markup that stays text."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Page, expect

Opened = Callable[..., None]
MARKUP = "<img src=x onerror=alert(1)> ![x](http://tracker.example/x.png) :red[c] $d$ *e*"


def test_the_language_stays_over_pages_and_a_reload(page: Page, opened: Opened) -> None:
    opened(page, "/new-job")
    page.get_by_role("radio", name="中文").or_(page.get_by_role("button", name="中文")).click()
    expect(page.get_by_role("heading", name="新建任务")).to_be_visible()
    page.get_by_role("link", name="数据集").click()
    expect(page.get_by_role("heading", name="数据集", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="数据集", exact=True)).to_be_visible()


def test_a_browser_in_chinese_gets_chinese(new_page: Callable[..., Page], opened: Opened) -> None:
    page = new_page(locale="zh-CN")
    opened(page, "/datasets")
    expect(page.get_by_role("heading", name="数据集", exact=True)).to_be_visible()


def test_yaml_typed_by_hand_fills_the_form(page: Page, opened: Opened) -> None:
    opened(page, "/new-job?kind=tokenizer")
    box = page.get_by_role("textbox", name="The job as YAML")
    box.fill("kind: tokenizer\nname: Small one\nspec:\n  vocab_size: 300\n  split_digits: false\n")
    box.press("Control+Enter")
    expect(page.get_by_role("spinbutton", name="Vocabulary")).to_have_value("300")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("Small one")
    box.fill("kind: [")
    box.press("Control+Enter")
    expect(page.get_by_text("of this YAML can't be understood")).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Vocabulary")).to_have_value("300")


def test_markup_in_an_address_is_shown_as_text(page: Page, opened: Opened) -> None:
    opened(page, f"/datasets?name={quote(MARKUP)}")
    page.get_by_test_id("stAlertContainer").wait_for()
    shown = page.locator("[data-testid=stMain]").inner_text().replace("\u2060", "")  # it keeps an address from a link
    assert MARKUP[:70] in shown
    assert page.locator("[data-testid=stMain] img").count() == 0


def test_the_theme_follows_the_system_and_can_be_switched(new_page: Callable[..., Page], opened: Opened) -> None:
    page = new_page(color_scheme="dark")
    opened(page, "/datasets")
    surface = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    assert page.evaluate(surface) == "rgb(20, 23, 28)"
    page.get_by_role("button", name="Main menu").click()
    page.get_by_role("menuitemradio", name="Light").click()
    page.wait_for_function(f"() => ({surface})() === 'rgb(255, 255, 255)'")

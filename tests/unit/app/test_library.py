"""Datasets and models: what is there, what is wrong with it, text as text; and trouble as one sentence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from platform_core.datasets import service as datasets
from platform_core.jobs import service as jobs
from platform_core.workspace.service import Workspace, _opened

ROOT = Path(__file__).resolve().parents[3]
Open = Callable[..., AppTest]
MARKUP = "<img src=x onerror=alert(1)> ![x](http://tracker.example/x.png) [a](javascript:b) :red[c] $d$"


def said(at: AppTest) -> str:
    return "\n".join(e.value for e in [*at.title, *at.markdown, *at.caption, *at.error, *at.warning])


@pytest.mark.parametrize("page", ["new_job", "models", "datasets"])
def test_an_empty_workspace_offers_a_way_on(opened: Open, workspace: Workspace, page: str) -> None:
    at = opened(page)
    assert not at.exception
    assert not at.error
    assert at.button


@pytest.mark.slow
@pytest.mark.parametrize("page", ["jobs", "models", "datasets"])
def test_the_demo_begins_from_every_empty_page_that_offers_it(opened: Open, workspace: Workspace, page: str) -> None:
    at = opened(page)
    next(b for b in at.button if b.label == "Run the demo").click().run()
    assert not at.exception
    assert len(jobs.list_jobs(workspace)) == 7


def test_a_dataset_leads_to_a_job_on_it(opened: Open, sums: str) -> None:
    at = opened("datasets")
    at.button(key=f"open.{sums}").click().run()
    assert at.query_params["name"] == sums
    assert "Prompts with responses" in said(at)
    at.button(key="use.sft").click().run()
    assert at.selectbox(key="sft.dataset").value == sums


def test_a_row_of_a_dataset_has_an_address(opened: Open, sums: str) -> None:
    at = opened("datasets", name=sums, p="2", row="25")
    assert not at.exception
    assert at.dataframe(key=f"table.{sums}.2").value.iloc[0]["prompt"] == "20+20="
    assert json.loads(next(c.value for c in at.code if "24+24=" in c.value)) == {"prompt": "24+24=", "response": "48"}
    assert "Row 25 in full" in said(at)


@pytest.mark.parametrize("asked", ["0", "41", "-1", "x", "٣x", "9" * 40])
def test_an_address_without_such_a_row_asks_to_choose_one(opened: Open, sums: str, asked: str) -> None:
    at = opened("datasets", name=sums, row=asked, p=asked)
    assert not at.exception
    assert not at.error
    assert "Choose a row to read it in full." in said(at)


def test_bad_rows_are_told_by_number_and_reason(opened: Open, workspace: Workspace) -> None:
    lines = ['{"prompt": "1+1=", "response": "2"}', '{"prompt": "3+', '{"prompt": "4+4="}']
    datasets.receive(workspace.home, "torn.jsonl", ["\n".join(lines).encode()])
    at = opened("datasets", name="torn.jsonl")
    assert "2 of 3 rows" in at.warning[0].value
    table = at.dataframe[-1].value
    assert list(table.iloc[:, 0]) == [2, 3]
    assert all(table.iloc[:, -1])


def test_a_file_that_is_none_is_a_sentence_and_can_be_deleted(opened: Open, workspace: Workspace) -> None:
    datasets.receive(workspace.home, "photo.jsonl", [b"\x89PNG\r\n\x1a\n" + bytes(200)])
    at = opened("datasets", name="photo.jsonl")
    assert not at.exception
    assert at.error
    assert at.button(key="delete")
    assert "Can't be read" in said(opened("datasets"))


def test_delete_asks_names_and_can_be_undone(opened: Open, workspace: Workspace, sums: str) -> None:
    at = opened("datasets", name=sums)
    at.button(key="delete").click().run()
    assert datasets.list_datasets(workspace.home)
    at.button(key="really-delete").click().run()
    assert not datasets.list_datasets(workspace.home)
    at.button(key="undo").click().run()
    assert [d.name for d in datasets.list_datasets(workspace.home)] == [sums]


def test_a_path_outside_the_roots_is_refused_and_one_inside_is_copied(
    opened: Open, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "sums.jsonl").write_text(json.dumps({"text": "one"}) + "\n")
    at = opened("datasets")
    at.text_input(key="register.path").set_value(str(lake / "sums.jsonl")).run()
    at.button(key="register").click().run()
    assert "PLATFORM\\_ROOTS" in at.error[0].value
    monkeypatch.setenv("PLATFORM_ROOTS", str(lake))
    at = opened("datasets")
    at.text_input(key="register.path").set_value(str(lake / "sums.jsonl")).run()
    at.button(key="register").click().run()
    assert at.query_params["name"] == "sums.jsonl"


def test_markup_in_data_and_names_is_shown_and_never_drawn(opened: Open, workspace: Workspace) -> None:
    rows = [{"prompt": MARKUP, "response": MARKUP, MARKUP[:40]: MARKUP}, {"prompt": MARKUP}]
    datasets.receive(workspace.home, "hostile.jsonl", ["\n".join(map(json.dumps, rows)).encode()])
    at = opened("datasets", name="hostile.jsonl")
    assert not at.exception
    assert "![x](" not in said(at)
    assert "<img" not in said(at)
    assert at.dataframe(key="table.hostile.jsonl.1").value.iloc[0]["prompt"] == MARKUP
    at = opened("datasets", name=MARKUP)
    assert at.error
    assert "![x](" not in said(at)


def test_a_model_shows_what_it_is_made_of_and_leads_to_jobs(opened: Open, workspace: Workspace, model: str) -> None:
    at = opened("models")
    at.button(key=f"open.{model}").click().run()
    assert not at.exception
    assert "32" in said(at)
    assert "float32" in said(at)
    assert list(at.dataframe[0].value.iloc[:, 1]) == ["4 × 8"]
    at.button(key="use.sft").click().run()
    assert at.selectbox(key="sft.model").value == model


def test_a_model_that_is_gone_is_a_sentence(opened: Open, workspace: Workspace) -> None:
    at = opened("models", ref="never-was")
    assert not at.exception
    assert "never-was" in at.error[0].value


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("models", {"ref": "never-was"}), ("datasets", {"name": "never-was.jsonl"}),
        ("new_job", {"kind": "never"}), ("new_job", {"clone": "never"}),
    ],
)  # fmt: skip
def test_an_address_of_what_is_not_there_still_shows_the_page(
    opened: Open, workspace: Workspace, model: str, page: str, query: dict[str, str]
) -> None:
    at = opened(page, **query)
    assert not at.exception
    assert len(at.error) == 1
    assert at.title
    assert at.button


def test_a_damaged_database_is_a_sentence_on_every_page(opened: Open, workspace: Workspace) -> None:
    workspace.engine.dispose()
    (workspace.home / "platform.db").write_bytes(b"not a database at all " * 400)
    for suffix in ("-wal", "-shm"):
        (workspace.home / f"platform.db{suffix}").unlink(missing_ok=True)
    _opened.cache_clear()
    for page in ("models", "new_job", "datasets"):
        at = opened(page)
        assert not at.exception
        assert "is damaged: put back a copy" in at.error[0].value.replace("\\", "")


@pytest.mark.slow
def test_a_database_held_by_another_process_is_a_sentence_after_five_seconds(
    opened: Open, workspace: Workspace, model: str, sums: str
) -> None:
    at = opened("new_job", kind="sft")
    holder = sqlite3.connect(workspace.home / "platform.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        at.button(key="create").click().run(timeout=20)
    finally:
        holder.close()
    assert "Another process holds" in at.error[0].value
    at.button(key="create").click().run()
    assert not at.error


def test_the_language_of_the_address_is_taken_and_can_be_changed(home: Path) -> None:
    at = AppTest.from_file(ROOT / "app" / "shell.py", default_timeout=60)
    at.query_params["lang"] = "zh"
    at.run()
    assert at.segmented_control(key="lang").value == "zh"
    at.segmented_control(key="lang").set_value("en").run()
    at.switch_page(str(ROOT / "pages" / "datasets.py")).run()
    assert at.segmented_control(key="lang").value == "en"
    assert at.title[0].value == "Datasets"

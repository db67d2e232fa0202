"""tools/check_words.py finds what is missing, obsolete or broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

import check_words

IMPORTS = "from app.words import _, say; from platform_core.errors import Problem, text; "
IMPORTS += "from platform_core.jobs.spec import cross_field\n"


def repository(tmp_path: Path, code: str, room: str = "pages") -> Path:
    (tmp_path / room).mkdir()
    (tmp_path / room / "page.py").write_text(IMPORTS + code, "utf-8")
    return tmp_path


def found_in(tmp_path: Path, code: str) -> check_words.Found:
    found = check_words.Found()
    check_words.collect_code(repository(tmp_path, code), found)
    return found


def test_the_planted_missing_text_is_found_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repository(tmp_path, 'x = 1\ny = _("Planted by a test {n}", n=x)\n')
    assert check_words.main(["--root", str(root), "--update"]) == 1
    assert "pages/page.py:3: not translated: 'Planted by a test {n}'" in capsys.readouterr().out
    words = check_words.read_catalogue(root / check_words.CATALOGUE)
    for message in words:
        if message.id:
            message.string = message.id
    check_words.write_catalogue(words, root / check_words.CATALOGUE)
    assert check_words.main(["--root", str(root)]) == 0


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ('_("Start")', {"Start"}),
        ('_("Start" if new else "Go on")', {"Start", "Go on"}),
        ('say("one " "two")', {"one two"}),
        ('raise Problem("{file} is empty.", file=f)', {"{file} is empty."}),
        ('cross_field("Too many heads.", "heads")', {"Too many heads."}),
        ('NOT = "is not"\ntext(NOT)', {"is not"}),
        ('st.text("not ours"); other("neither")', set()),
        ('_("{value}", value=1); _("…")', set()),
        ("_(setting.title); _(state)  # words: states", set()),
    ],
)
def test_texts_are_collected_from_the_calls_that_mark_them(tmp_path: Path, code: str, texts: set[str]) -> None:
    found = found_in(tmp_path, code)
    assert set(found.texts) == texts
    assert found.unknown == []


UNKNOWN = ['_(f"{n} rows")', "_(name)", "text(labels[x])", 'Problem("a" + b)', "_(x)  # words: mine"]


@pytest.mark.parametrize("code", UNKNOWN)
def test_a_text_that_cannot_be_known_is_refused(tmp_path: Path, code: str) -> None:
    assert found_in(tmp_path, code).unknown


def test_a_word_of_the_same_name_from_elsewhere_marks_nothing(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "rows.py").write_text('from sqlalchemy import text\ntext("SELECT 1")\nsay("not ours")\n')
    (tmp_path / "app" / "other.py").write_text('from platform_core.errors import text as told\ntold("ours")\n')
    found = check_words.Found()
    check_words.collect_code(tmp_path, found)
    assert set(found.texts) == {"ours"}


def test_the_registry_gives_titles_helps_units_choices_formats_and_states() -> None:
    found = check_words.Found()
    check_words.collect_registry(found)
    for words in (
        "Learning rate",
        "Decoupled weight decay.",
        "rows",
        "Optimizer",
        "Cosine to zero",
        "running",
        "GRPO",
    ):
        assert words in found.texts


def catalogue(**entries: str) -> Catalog:
    words = Catalog(locale="zh")
    for key, said in entries.items():
        words.add(key.replace("_", " "), said)
    return words


def test_obsolete_empty_and_changed_values_are_listed() -> None:
    found = check_words.Found()
    for key in ("All is well", "Nothing here", "{n} rows"):
        found.add(key, "a.py:1")
    words = catalogue(All_is_well="一切正常", Nothing_here=" ", Gone="没了")
    words.add("{n} rows", "{m} 行")
    wrong = check_words.compare(found, words)
    assert len(wrong) == 3
    assert any("not translated: 'Nothing here'" in line for line in wrong)
    assert any("nothing says this any more: 'Gone'" in line for line in wrong)
    assert any("other {values}" in line for line in wrong)


def test_a_translation_may_write_values_in_another_order_and_form() -> None:
    assert check_words.mismatch("{a} of {b:.1f}", "{b:.0f} 中的 {a}") == []
    assert check_words.mismatch("{a}", "{a") != []
    assert check_words.mismatch('Write {"a": 1}', '写 {"a": 1}') == []


def test_update_adds_drops_and_keeps_what_is_translated(tmp_path: Path) -> None:
    path = tmp_path / "zh.po"
    check_words.write_catalogue(catalogue(Old="旧", Kept="留"), path)
    found = check_words.Found()
    found.add("Kept", "a:1")
    found.add("New", "a:2")
    assert check_words.update(found, path) == (1, 0)
    assert check_words.update(found, path, prune=True) == (0, 1)
    words = check_words.read_catalogue(path)
    assert {m.id: m.string for m in words if m.id} == {"Kept": "留", "New": ""}
    assert path.read_text("utf-8").count("Creation-Date") == 0

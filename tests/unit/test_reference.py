"""What exists is documented, what is documented exists, and `docs/reference` is what the code says now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reference
from app.cli import cli
from platform_core.algorithms.registry import algorithms
from platform_core.jobs.states import NEXT
from platform_core.rewards.kinds.registry import kinds

FOLDER = reference.ROOT / reference.FOLDER


def test_the_reference_is_up_to_date() -> None:
    assert reference.stale(FOLDER, reference.pages()) == [], "run tools/reference.py"


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    there = {p.stem for p in FOLDER.glob("*.md")} - {"README", "cli", "rewards", "states", "settings"}
    assert there == set(algorithms())


def test_every_setting_of_a_reward_function_is_documented() -> None:
    page = (FOLDER / "rewards.md").read_text("utf-8")
    for function in kinds().values():
        section = page.partition(f"## `{function.name}`: ")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == set(function.spec.model_fields)


@pytest.mark.parametrize("kind", list(algorithms()))
def test_every_setting_has_a_row_and_every_row_a_setting(kind: str) -> None:
    page = (FOLDER / f"{kind}.md").read_text("utf-8")
    rows = {m.replace("-", "_") for m in re.findall(r"^\| [^|]+ \| `--([a-z0-9-]+)` \|", page, re.MULTILINE)}
    assert rows == set(algorithms()[kind].spec.model_fields)


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    page = (FOLDER / "cli.md").read_text("utf-8")
    documented = set(re.findall(r"^#{2,3} (lathe .+)$", page, re.MULTILINE))
    assert documented == {" ".join(path) for path, _ in reference.commands(cli, ("lathe",))}


def test_every_command_has_a_help_text() -> None:
    assert [path for path, command in reference.commands(cli, ("lathe",)) if not command.help] == []


def test_every_state_is_explained() -> None:
    page = (FOLDER / "states.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE) == list(NEXT)


def test_every_variable_of_ours_is_documented_and_every_documented_one_is_used() -> None:
    page = (FOLDER / "settings.md").read_text("utf-8")
    documented = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    rooms = ("app", "pages", "platform_core", "runners", "tools", "benchmarks", "tests")
    sources = [p for room in rooms for p in (reference.ROOT / room).rglob("*.py") if p.name != "reference.py"]
    text = "\n".join(p.read_text("utf-8") for p in [*sources, reference.ROOT / "Makefile"])
    used = set(re.findall(r"\b(?:PLATFORM|LATHE)_[A-Z_]+\b", text)) - {"PLATFORM_SECRET_KEY"}  # a test's canary
    assert len(documented) == len(set(documented))
    assert set(documented) == used


def test_only_the_settings_read_variables_of_ours() -> None:
    rooms = ("app", "pages", "platform_core", "runners")
    read = re.compile(r"environ(?:\.get\(|\.pop\(|\[)\s*\"(?:PLATFORM|LATHE)_\w+\"(?!\]\s*=)|getenv\(")
    sources = [p for room in rooms for p in (reference.ROOT / room).rglob("*.py")]
    assert [str(p) for p in sources if read.search(p.read_text("utf-8"))] == []


def test_check_fails_on_a_stale_missing_or_left_over_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--folder", str(tmp_path)]) == 0
    assert reference.main(["--folder", str(tmp_path), "--check"]) == 0
    (tmp_path / "sft.md").write_text("old")
    (tmp_path / "gone.md").write_text("a kind that was removed")
    (tmp_path / "cli.md").unlink()
    capsys.readouterr()
    assert reference.main(["--folder", str(tmp_path), "--check"]) == 1
    out = capsys.readouterr().out
    assert [Path(line.split()[0]).name for line in out.splitlines()] == ["cli.md", "gone.md", "sft.md"]
    assert (tmp_path / "gone.md").exists()
    assert reference.main(["--folder", str(tmp_path)]) == 0
    assert reference.main(["--folder", str(tmp_path), "--check"]) == 0
    assert not (tmp_path / "gone.md").exists()

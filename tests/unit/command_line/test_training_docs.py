"""Every `lathe train …` of docs/training is a command that runs, and the page names what there is to set and to see."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from app.cli import main
from platform_core.algorithms.registry import algorithm, algorithms
from platform_core.datasets.formats import FORMATS
from platform_core.datasets.needs import NEEDS
from platform_core.workspace.service import open_workspace
from tests.rows import write_rows
from tests.unit.core.folders import model_folder

PAGES = sorted((Path(__file__).resolve().parents[3] / "docs" / "training").glob("*.md"))
COMMAND = re.compile(r"^lathe train .*$", re.MULTILINE)
JSON_ROW = re.compile(r"^\{.*\}$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "home"))
    place, commands = open_workspace(tmp_path / "home"), COMMAND.findall(page.read_text())
    assert commands
    for command in commands:
        words = shlex.split(command)[1:]
        kind = algorithm(words[1])
        given = dict(pairwise(words))
        dataset = given["--dataset"]
        for model in (given[option] for option in ("--model", "--teacher") if option in given):
            if not (place.models / model).exists():
                model_folder(place.models / model, context=4096)
        example = dict(FORMATS[NEEDS[kind.dataset_format or ""].formats[0]].example)
        rows = [example, example | {"label": False}] if kind.dataset_format == "kto" else [example]
        write_rows(place.datasets / dataset, rows * 40)
        code = main([*words, "--dry-run"])
        out, err = capsys.readouterr()
        assert code == 0, f"{command}\n{out}{err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_rows_on_the_page_are_rows_of_its_kind(page: Path) -> None:
    if page.stem not in algorithms():
        return
    formats = NEEDS[algorithm(page.stem).dataset_format or ""].formats
    for line in JSON_ROW.findall(page.read_text()):
        row = json.loads(line)
        assert any(FORMATS[name].matches(row) and FORMATS[name].read(row, None) for name in formats), line

"""A workspace with a small dataset, and `lathe` run on it in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from platform_core.workspace.service import open_workspace

Lathe = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "home"))
    made = open_workspace(tmp_path / "home")
    (made.datasets / "texts.jsonl").write_text('{"text": "one two three"}\n' * 10)
    return made.home


@pytest.fixture
def lathe(home: Path, capsys: pytest.CaptureFixture[str]) -> Lathe:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run

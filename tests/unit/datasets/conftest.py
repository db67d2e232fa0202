"""The workspace folder of these tests."""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "datasets").mkdir(parents=True)
    return tmp_path / "home"

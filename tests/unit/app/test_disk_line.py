"""A full disk is told on every page, by the disk itself."""

from __future__ import annotations

import pytest

from app import disk_line
from tests.unit.app.conftest import Open


@pytest.mark.parametrize("page", ["home", "jobs", "settings"])
def test_a_disk_with_room_says_nothing_and_a_full_one_does(
    opened: Open, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = opened(page)
    assert not [e for e in [*at.error, *at.warning] if "disk" in e.value]
    monkeypatch.setattr(disk_line, "LEAST_FREE", 2**62)
    at.run()
    (nearly,) = [e.value for e in at.warning if "disk" in e.value]
    assert "nearly full" in nearly
    assert "Empty the trash" in nearly
    monkeypatch.setattr(disk_line, "FULL", 2**62)
    at.run()
    (full,) = [e.value for e in at.error if "disk" in e.value]
    assert "checkpoints, numbers and logs can't be saved" in full
    assert not at.exception

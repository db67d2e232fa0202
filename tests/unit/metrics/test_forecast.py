"""The forecast of a run's end."""

from pathlib import Path

import pytest

from platform_core.metrics import writer as writer_module
from platform_core.metrics.forecast import seconds_left
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """100 steps: the first 50 take 1 s each, the others 3 s."""
    clock = [1000.0]
    monkeypatch.setattr(writer_module, "now", lambda: clock[0])
    path = tmp_path / "metrics.sqlite"
    with Writer(path) as writer:
        for step in range(1, 101):
            clock[0] += 1.0 if step <= 50 else 3.0
            writer.metrics(step, {"loss": 1.0})
    return path


def left(path: Path, total: int, since: float, now: float) -> tuple[float, float] | None:
    with Reader(path) as run:
        return seconds_left(run, total, since, now)


def test_the_range_holds_the_speed_as_a_whole_and_of_late(run: Path) -> None:
    found = left(run, 200, 0, 1200.0)
    assert found is not None
    low, high = found
    assert low == pytest.approx(100 * 199 / 99 * 0.9, rel=0.01)
    assert high == pytest.approx(300 * 1.1, rel=0.01)


def test_what_went_by_since_the_last_point_counts(run: Path) -> None:
    assert left(run, 200, 0, 1200.0 + 100) == pytest.approx((0.9 * (100 * 199 / 99 - 100), 1.1 * 200), rel=0.01)


def test_at_the_end_nothing_is_left(run: Path) -> None:
    assert left(run, 100, 0, 1200.0) == (0.0, 0.0)
    assert left(run, 50, 0, 1200.0) == (0.0, 0.0)


def test_nothing_is_foretold_from_one_point_or_another_attempt(run: Path, tmp_path: Path) -> None:
    assert left(run, 200, 1199.5, 1200.0) is None
    assert left(tmp_path / "none.sqlite", 200, 0, 1.0) is None

"""What sessions share: made once a second by whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from app import shared as module
from app.shared import shared


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the module sees."""
    seconds = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(module, "_slots", {})
    return seconds


def test_all_who_come_at_once_get_what_the_first_one_makes() -> None:
    made, together, go = [], Barrier(9), Event()

    def make() -> object:
        go.wait(10)
        made.append(object())
        return made[-1]

    def come() -> object:
        together.wait(10)
        return shared("key", make)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(come) for _ in range(8)]
        together.wait(10)
        go.set()
        assert {id(one.result()) for one in asked} == {id(made[0])}
    assert len(made) == 1


def test_it_is_made_anew_after_a_second_and_for_another_key(clock: list[float]) -> None:
    numbers = iter(range(10))
    assert [shared("a", lambda: next(numbers)), shared("b", lambda: next(numbers))] == [0, 1]
    clock[0] += 0.9
    assert shared("a", lambda: next(numbers)) == 0
    clock[0] += 0.2
    assert shared("a", lambda: next(numbers)) == 2


def test_what_is_raised_is_raised_to_one_and_not_kept() -> None:
    with pytest.raises(ZeroDivisionError):
        shared("key", lambda: 1 // 0)
    assert shared("key", lambda: "whole") == "whole"


def test_what_nobody_asks_for_any_more_is_let_go(clock: list[float]) -> None:
    for key in range(100):
        shared(key, lambda: "large")
    clock[0] += module.KEPT + 1
    shared("new", lambda: "small")
    assert list(module._slots) == ["new"]

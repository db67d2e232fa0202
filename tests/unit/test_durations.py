"""Durations where one unit ends and the next begins."""

from __future__ import annotations

import pytest

from platform_core.durations import ago, coarse, exact


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min"), (3570, "1 h"), (3599, "1 h"), (84_599, "23 h"),
     (84_600, "1 d"), (86_399, "1 d"), (172_800, "2 d")],
)  # fmt: skip
def test_a_coarse_duration_is_never_sixty_minutes_or_24_hours(seconds: float, words: str) -> None:
    assert str(coarse(seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (86_399.6, "1 d 0 h")]
)
def test_an_exact_duration_never_has_sixty_of_a_unit(seconds: float, words: str) -> None:
    assert str(exact(seconds)) == words


def test_ago_is_a_sentence_that_can_be_translated_whole() -> None:
    assert str(ago(3599)) == "1 h ago"
    assert ago(3599).template == "{time} ago"

"""Intervals against values from the literature and from simulation."""

from __future__ import annotations

import random

import pytest

from platform_core.evaluation.intervals import bootstrap_mean, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_newcombes_table(hits: int, n: int, low: float, high: float) -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_without_answers_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_covers_the_mean_and_repeats_by_seed() -> None:
    rng = random.Random(0)
    covered = 0
    for seed in range(100):
        values = [rng.choice((0.0, 0.25, 0.5, 1.0)) for _ in range(60)]
        low, high = bootstrap_mean(values, seed, draws=300)
        covered += low <= 0.4375 <= high
    assert covered >= 85
    assert bootstrap_mean([0.0, 1.0, 1.0], 3) == bootstrap_mean([0.0, 1.0, 1.0], 3)

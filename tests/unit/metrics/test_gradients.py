"""Gradient norms: what is read of a long run, and what the norms are said to show."""

from pathlib import Path

import numpy as np
import pytest

from platform_core.metrics.gradients import Norms, judge, read_norms
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

BLOCKS = 6


def norms(scale: np.ndarray, steps: int = 100, seed: int = 0) -> Norms:
    """Noisy norms of an embedding and six blocks, `scale` of shape (7,) or (steps, 7)."""
    noise = np.random.default_rng(seed).lognormal(0, 0.3, (steps, BLOCKS + 1))
    names = ["embed_tokens", *(f"layer.{n}" for n in range(BLOCKS))]
    return Norms(np.arange(1, steps + 1), names, (noise * scale).astype("f4"))


def kinds(found: Norms) -> list[str]:
    return [verdict.kind for verdict in judge(found)]


@pytest.mark.parametrize("seed", range(5))
def test_even_norms_that_fall_as_a_training_goes_on_are_no_trouble(seed: int) -> None:
    falling = np.geomspace(3, 0.05, 100)[:, None] * np.ones(BLOCKS + 1)
    assert kinds(norms(falling, seed=seed)) == []


@pytest.mark.parametrize("seed", range(5))
def test_each_trouble_is_named_with_its_layers(seed: int) -> None:
    even = np.ones(BLOCKS + 1)
    dead = even.copy()
    dead[3] = 0
    assert [(v.kind, v.layers) for v in judge(norms(dead, seed=seed))] == [("dead", ("layer.2",))]
    vanishing = np.array([1e-4, *np.geomspace(1e-4, 1, BLOCKS)])
    assert [(v.kind, v.layers) for v in judge(norms(vanishing, seed=seed))] == [("vanishing", ("layer.0", "layer.1"))]
    uneven = even.copy()
    uneven[4] = 1000
    assert kinds(norms(uneven, seed=seed)) == ["uneven"]
    exploding = np.concatenate([np.ones(80), np.geomspace(1, 1e4, 20)])[:, None] * even
    assert kinds(norms(exploding, seed=seed)) == ["exploding"]


def test_one_odd_step_says_nothing_and_one_that_is_not_finite_does() -> None:
    found = norms(np.ones(BLOCKS + 1))
    found.values[95] *= 1e5
    assert kinds(found) == []
    found.values[96, 2] = np.nan
    found.values[97] = np.inf
    assert kinds(found) == ["exploding"]


def test_a_few_steps_are_not_judged() -> None:
    assert kinds(norms(np.array([1, 0, 0, 0, 0, 0, 0]), steps=9)) == []


def test_a_long_run_is_read_in_a_bounded_number_of_steps_and_a_range_exactly(tmp_path: Path) -> None:
    with Writer(tmp_path / "m.sqlite") as writer:
        for step in range(1, 3001):
            writer.metrics(step, {"grad_norm": 1.0})
            writer.vector("grad_norm", step, ["layer.0", "norm"], [float(step), 1.0])
    with Reader(tmp_path / "m.sqlite") as run:
        whole = read_norms(run, columns=100)
        part = read_norms(run, columns=100, low=1000, high=1050)
    assert whole is not None
    assert 90 <= len(whole.steps) <= 100
    assert (whole.steps[0], whole.names) == (1, ["layer.0", "norm"])
    assert (whole.values[:, 0] == whole.steps).all()
    assert part is not None
    assert part.steps.tolist() == list(range(1000, 1051))


def test_a_run_without_norms_by_layer_has_none(tmp_path: Path) -> None:
    with Writer(tmp_path / "m.sqlite") as writer:
        writer.metrics(1, {"grad_norm": 1.0})
    with Reader(tmp_path / "m.sqlite") as run:
        assert read_norms(run, columns=100) is None

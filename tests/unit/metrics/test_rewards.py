"""Samples by prompt and reward, and the spread of a batch's rewards over the steps."""

from pathlib import Path

import numpy as np
import pytest

from platform_core.metrics.reader import Reader
from platform_core.metrics.rewards import BINS, COLUMNS, reward_shares
from platform_core.metrics.writer import Writer


def rewarded(path: Path, rows: list[list[float]], every: int = 1) -> Path:
    with Writer(path) as writer:
        for n, row in enumerate(rows):
            step = max(1, n * every)
            writer.metrics(step, {"reward": float(np.mean(row))})
            writer.vector("reward", step, [str(i) for i in range(len(row))], row)
    return path


def test_a_reward_of_few_values_gets_a_row_for_each(tmp_path: Path) -> None:
    path = rewarded(tmp_path / "m.sqlite", [[0, 0, 0, 1], [0, 0, 1, 1], [0.5, 1, 1, 1]])
    with Reader(path) as run:
        found = reward_shares(run, 2)
    assert found is not None
    assert found.labels() == ["0", "0.5", "1"]
    assert found.shares[:, 0].tolist() == [0.5, 0.0, 0.5]  # the second report of step 1 replaced the first
    assert found.shares[:, 1].tolist() == [0.0, 0.25, 0.75]


def test_a_reward_of_many_values_gets_ranges_that_sum_to_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = rewarded(tmp_path / "m.sqlite", random.normal(size=(500, 32)).tolist())
    with Reader(path) as run:
        found = reward_shares(run, 499)
    assert found is not None
    assert found.shares.shape[0] == len(found.labels()) == BINS
    assert 0 < found.shares.shape[1] <= COLUMNS
    np.testing.assert_allclose(found.shares.sum(axis=0), 1, atol=1e-5)


def test_no_reward_is_no_picture(tmp_path: Path) -> None:
    path = rewarded(tmp_path / "m.sqlite", [])
    with Reader(path) as run:
        assert reward_shares(run, 10) is None


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    with Writer(tmp_path / "m.sqlite") as writer:
        for step, (prompt, reward) in enumerate(
            [("a", 0.0), ("b", 0.5), ("a", 1.0), ("a", float("nan")), ("<b>", -2.0)], start=1
        ):
            writer.sample(step, prompt=prompt, completion="x", reward=reward)
        writer.sample(6, prompt="b", completion="no reward at all")
    return tmp_path / "m.sqlite"


def test_samples_are_found_by_reward_and_by_prompt(texts: Path) -> None:
    with Reader(texts) as run:
        assert [s.step for s in run.samples(reward=(0.0, None))] == [3, 2, 1]
        assert [s.step for s in run.samples(reward=(None, 0.0))] == [5, 1]
        assert [s.step for s in run.samples(reward=(0.4, 0.6))] == [2]
        assert [s.step for s in run.samples(prompt="a", oldest_first=True)] == [1, 3, 4]
        assert run.prompts(10) == ["a", "b", "<b>"]
        assert [s.step for s in run.samples(search="reward at", reward=(None, None))] == [6]

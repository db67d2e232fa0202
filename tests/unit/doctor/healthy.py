"""Runs with nothing wrong that look as if: noise, warm-ups, restarts, pauses, long ends, solved tasks, few steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .runs import Story, reinforced, snapshots, supervised


def usual(seed: int) -> Story:
    return supervised(seed)


def usual_reinforced(seed: int) -> Story:
    return reinforced(seed)


def busy_gpu(seed: int) -> Story:
    return replace(supervised(seed), snapshots=snapshots(), devices=["GPU-1"])


def heavy_tails(seed: int) -> Story:
    story = supervised(seed, points=3000)
    story.curves["loss"] *= np.exp(0.03 * np.clip(story.rng.standard_t(4, size=3000), -8, 8))
    return story


def long_end(seed: int) -> Story:
    """Hardly falls any more for nine tenths of its length."""
    story = supervised(seed, points=20_000, kind="pretrain")
    grid = np.arange(20_000)
    story.curves["loss"] = (2.2 + 5 * np.exp(-grid / 500) + 0.3 * np.exp(-grid / 8000)) * np.exp(
        0.03 * story.rng.normal(size=20_000)
    )
    return story


def restarts(seed: int) -> Story:
    """Cosine with four restarts: the loss rises by a fifth at each."""
    story = supervised(seed, points=2000, warmup_steps=0)
    phase = (np.arange(2000) % 500) / 500
    story.curves["learning_rate"] = 5e-3 * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * phase)))
    story.curves["loss"] *= 1 + 0.2 * 0.5 * (1 + np.cos(np.pi * phase))
    return story


def resumed(seed: int) -> Story:
    """Paused and gone on with on a machine half as fast, after a night."""
    story = supervised(seed)
    n = story.points
    story.curves["tokens_per_second"][n // 2 :] *= 0.3
    gaps = np.full(n, 2.0)
    gaps[n // 2] = 40_000.0
    every = int(story.spec["logging_steps"])
    goes_on = ("resumed", "goes on", {"attempt": 2})
    return replace(story, seconds=gaps, events=[goes_on], spec=story.spec | {"logging_steps": every})


def small_gain(seed: int) -> Story:
    """An already good model that gains 6 % in all."""
    story = supervised(seed, points=800, kind="sft", learning_rate=1e-5)
    grid = np.arange(800)
    story.curves["loss"] = (1.35 + 0.09 * np.exp(-grid / 80)) * np.exp(0.04 * story.rng.normal(size=800))
    return story


def first_steps(seed: int) -> Story:
    return supervised(seed, points=int(3 + seed % 12), warmup_steps=0)


def slow_steps(seed: int) -> Story:
    return replace(reinforced(seed), seconds=300.0, silent=900.0)


def noisy_reward(seed: int) -> Story:
    story = reinforced(seed, points=400)
    story.curves["reward"] = np.clip(story.curves["reward"] + 0.15 * story.rng.normal(size=400), -1, 2)
    return story


def solved(seed: int) -> Story:
    """Nearly all is right: the entropy is gone and no group has a spread, as it should."""
    story = reinforced(seed, points=300)
    done = np.arange(300) > 150
    story.curves["reward"] = np.where(done, 0.985 + 0.01 * story.rng.normal(size=300), story.curves["reward"])
    story.curves["entropy"] *= np.exp(-4 * np.arange(300) / 300)
    story.curves["frac_reward_zero_std"][done] = 0.95
    return story


def longer_answers(seed: int) -> Story:
    """Reasoning that doubles in length, and pays."""
    story = reinforced(seed)
    story.curves["completions/mean_length"] *= 1 + 0.6 * np.arange(story.points) / story.points
    return story


def evaluated(seed: int) -> Story:
    """Validation loss that falls, then stays, with noise."""
    story = supervised(seed, points=600)
    values = np.full(600, None, dtype=object)
    values[49::50] = (1.2 + np.exp(-np.arange(12) / 3)) * np.exp(0.01 * story.rng.normal(size=12))
    story.curves["eval_loss"] = values  # type: ignore[assignment]
    return story


def completed(seed: int) -> Story:
    return replace(supervised(seed), state="completed")


def stopped(seed: int) -> Story:
    return replace(supervised(seed), state="stopped", silent=90_000.0)


def few_bad_rows(seed: int) -> Story:
    return replace(supervised(seed), events=[("skipped_rows", "3 rows", {"count": 3, "of": 1000})])


def hiccup(seed: int) -> Story:
    """Some slow seconds while the machine did something else."""
    story = supervised(seed)
    story.curves["tokens_per_second"][-12:-4] /= 5
    return replace(story, seconds=1.0)


HEALTHY: tuple[Callable[[int], Story], ...] = (
    *(usual, usual_reinforced, busy_gpu, heavy_tails, long_end, restarts, resumed, small_gain, first_steps, slow_steps),
    *(noisy_reward, solved, longer_answers, evaluated, completed, stopped, few_bad_rows, hiccup),
)

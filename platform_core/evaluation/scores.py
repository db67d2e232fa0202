"""The numbers that a job ended with, each joined to its interval and to the questions behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SHARES = ("exact_match", "sampled_accuracy", "mean_token_accuracy", "completions/clipped_ratio", "frac_reward_zero_std")
LOWER = ("loss", "perplexity", "step_time", "bits_per_byte")
HIGHER = ("reward", "accuracy", "exact_match", "per_second", "pass_at", "rewards/", "bytes_per_token")
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Score:
    """One number of a result; `low` and `high` are its 95 % interval, `n` the questions behind it."""

    name: str
    value: object
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @property
    def is_share(self) -> bool:
        """Whether it is a share of 1, read in per cent."""
        return self.name.partition("/")[0] in SHARES or self.name in SHARES


def scores(metrics: Mapping[str, Any]) -> list[Score]:
    """The numbers of a result, its bounds joined to them (`exact_match_low`, `sampled_low` …)."""
    bounds, made = set(), []
    n = metrics.get("n")
    for name, value in metrics.items():
        stem = next((s for s in (name, name.removesuffix("_accuracy")) if f"{s}_low" in metrics), None)
        if stem is None:
            made.append(Score(name, value))
            continue
        low, high = metrics[f"{stem}_low"], metrics.get(f"{stem}_high")
        bounds |= {f"{stem}_low", f"{stem}_high"}
        made.append(Score(name, value, low, high, n if isinstance(n, int) else None))
    return [score for score in made if score.name not in bounds and not (score.name == "n" and bounds)]


def better(metric: str) -> Better | None:
    """Which direction is better, where that is sure: losses and times fall, rewards, shares of right answers rise."""
    if metric.endswith(LOWER):
        return "lower"
    if metric.startswith("policy_") or metric.endswith(("_std", "/std")):
        return None
    return "higher" if any(part in metric for part in HIGHER) else None

"""verl's metrics under the platform's names, where they mean the same; the rest keep verl's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

SAME = {
    "train/loss": "loss",
    "train/grad_norm": "grad_norm",
    "train/lr": "learning_rate",
    "train/mfu": "mfu",
    "val/loss": "eval_loss",
    "actor/pg_loss": "loss",
    "actor/grad_norm": "grad_norm",
    "actor/lr": "learning_rate",
    "actor/entropy": "entropy",
    "actor/kl_loss": "kl",
    "actor/reward_kl_penalty": "kl",
    "critic/score/mean": "reward",
    "actor/pg_clipfrac": "clip_ratio/region_mean",
    "critic/vf_loss": "value/loss",
    "critic/vf_explained_var": "value/explained_variance",
    "critic/values/mean": "value/mean",
    "critic/grad_norm": "value/grad_norm",
    "response_length/mean": "completions/mean_length",
    "response_length/max": "completions/max_length",
    "response_length/min": "completions/min_length",
    "response_length/clip_ratio": "completions/clipped_ratio",
    "perf/throughput": "tokens_per_second",
    "training/epoch": "epoch",
}
VALIDATION = re.compile(r"val-core/.*/reward/mean@\d+")
COUNTED_BY_US = ("training/global_step", "train/total_tokens(B)")


def ours(values: Mapping[str, object]) -> dict[str, float]:
    """The numbers of one line of verl's metrics file; NaN, which JSON has not, comes as null."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if name in COUNTED_BY_US or isinstance(value, bool) or not isinstance(value, int | float | None):
            continue
        renamed = "eval_reward" if VALIDATION.fullmatch(name) else SAME.get(name, name)
        found[renamed] = math.nan if value is None else float(value)
    return found

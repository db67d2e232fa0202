"""Changes of settings that several rules suggest; each leaves a spec that is still valid."""

from __future__ import annotations

from typing import Any

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Fix
from platform_core.errors import Text, text

LESS = 10.0


def rounded(value: float) -> float:
    """A number with two significant digits."""
    return float(f"{value:.1e}")


def lower_learning_rate(case: Case, by: float = LESS) -> Fix | None:
    """A learning rate `by` times lower, and a warm-up where there is none; None for a job without a learning rate."""
    rate = case.setting("learning_rate")
    if not isinstance(rate, int | float):
        return None
    lower = rounded(rate / by)
    changes: dict[str, Any] = {"learning_rate": lower}
    warmup = warmup_of(case)
    if warmup:
        changes["warmup_steps"] = warmup
        return Fix(
            text("Lower the learning rate to {rate:g} and warm up for {steps} steps.", rate=lower, steps=warmup),
            changes,
        )
    return Fix(text("Lower the learning rate to {rate:g}.", rate=lower), changes)


def warmup_of(case: Case) -> int:
    """A twentieth of the steps, at most 100, for a job that has no warm-up; else 0."""
    total = case.setting("max_steps") or case.job.total_steps
    if case.setting("warmup_steps", 0) or not isinstance(total, int):
        return 0
    return min(100, total // 20)


def smaller_batch(case: Case) -> Fix | None:
    """Half the batch with twice the accumulation, so that the update stays the same; None when it is at its least.

    The groups of GRPO stay whole: there the batch goes down to one group.
    """
    batch, group = case.setting("batch_size"), case.setting("num_generations", 1)
    changes: dict[str, Any] = {}
    if isinstance(batch, int) and batch // 2 >= group:
        smaller = batch // 2 - (batch // 2) % group
        changes["batch_size"] = smaller
        if "gradient_accumulation_steps" in case.job.spec:
            before = case.setting("gradient_accumulation_steps", 1)
            changes["gradient_accumulation_steps"] = min(65_536, before * round(batch / smaller))
    if case.job.spec.get("gradient_checkpointing") is False:
        changes["gradient_checkpointing"] = True
    if not changes:
        length = case.setting("max_length")
        if not isinstance(length, int) or length < 16:
            return None
        return Fix(
            text("Halve the sequence length to {length} tokens.", length=length // 2), {"max_length": length // 2}
        )
    return Fix(says_batch(changes), changes)


def says_batch(changes: dict[str, Any]) -> Text:
    if "batch_size" not in changes:
        return text("Turn gradient checkpointing on: less memory for a third more compute.")
    return text(
        "Take a batch of {batch} and accumulate gradients, so that each update sees as many rows as before.",
        batch=changes["batch_size"],
    )

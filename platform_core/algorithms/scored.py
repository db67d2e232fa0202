"""Settings of every kind whose answers are scored: trainings that learn from rewards, and evaluation."""

from __future__ import annotations

from platform_core.jobs.spec import JobSpec, setting
from platform_core.rewards.exact_match import EXTRACT_LABELS, Extract


class ScoredSpec(JobSpec):
    """Which reward, and the two settings of the built-in exact match."""

    reward: str = setting(
        "exact_match",
        title="Reward",
        help="What scores an answer: a built-in reward, or one saved on the page Rewards.",
        group="Reward",
        pick="reward",
        min_length=1,
        max_length=128,
    )
    answer_extraction: Extract = setting(
        "last_number",
        title="Answer is",
        help="Where in a completion the answer stands; the score is 1 when it equals the dataset's, else 0.",
        group="Reward",
        labels=EXTRACT_LABELS,
        shown_if={"reward": ("exact_match",)},
    )
    answer_marker: str = setting(
        "#",
        title="Marker",
        help="The answer follows the last one.",
        group="Reward",
        min_length=1,
        max_length=64,
        shown_if={"reward": ("exact_match",), "answer_extraction": ("marker",)},
    )

"""The reward as verl calls it for each answer (`reward.custom_reward_function`)."""

from __future__ import annotations

from typing import Any

from platform_core.rewards.exact_match import Extract, exact_match


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, *, how: Extract, marker: str
) -> dict[str, float]:
    """1 for an answer that equals the dataset's, else 0, with the value by function."""
    score = exact_match(solution_str, ground_truth, how, marker)
    return {"score": score, "rewards/exact_match": score}

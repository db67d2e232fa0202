"""Rewards that are there without being saved, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_core.rewards.spec import Reward


@dataclass(frozen=True)
class Preset:
    """A built-in reward: its title, what it is for, and the settings it is made from."""

    title: str
    summary: str
    values: Mapping[str, Any]

    def reward(self) -> Reward:
        """The reward with its defaults."""
        return Reward.model_validate(dict(self.values))


EXACT_MATCH = "exact_match"
PRESETS: dict[str, Preset] = {
    EXACT_MATCH: Preset(
        "Exact match",
        "1 when the answer equals the dataset's, else 0.",
        {"functions": [{"kind": "exact_match", "cut_thinking": False}]},
    ),
    "numeric_match": Preset(
        "Numeric match",
        "1 when the last number equals the dataset's, however it is written.",
        {"functions": [{"kind": "numeric_match"}]},
    ),
    "math_verify": Preset(
        "Mathematics",
        "1 when the boxed answer is mathematically equal to the dataset's.",
        {"functions": [{"kind": "math_verify"}]},
    ),
    "think_and_answer": Preset(
        "Think, then answer",
        "The answer in <answer> as mathematics, and a fifth for the form <think>…</think><answer>…</answer>.",
        {
            "functions": [
                {"kind": "math_verify", "extraction": "tag", "weight": 0.8},
                {"kind": "format_check", "weight": 0.2},
            ]
        },
    ),
}


def exact_match_reward(extraction: str, marker: str) -> Reward:
    """The preset of exact match with where the answer stands: what the simple settings of a job ask for."""
    function = {"kind": "exact_match", "cut_thinking": False, "extraction": extraction, "marker": marker}
    return Reward.model_validate({"functions": [function]})

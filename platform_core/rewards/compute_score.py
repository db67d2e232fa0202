"""The function that verl calls for each answer (`custom_reward_function.path` and `.name`)."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from platform_core.rewards.answer import Answer
from platform_core.rewards.scorer import Scorer, open_scorer
from platform_core.rewards.store import load


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    reward_path: str = "",
    **more: Any,
) -> dict[str, float]:
    """`score` and the value of each function (`rewards/<function>`), as verl's reward managers take them.

    `reward_path`: the folder of the reward; `extra_info` may hold `prompt`, `row` and `index`.
    """
    extra = extra_info or {}
    row = extra.get("row")
    number = extra.get("index")
    answer = Answer(
        completion=solution_str,
        reference=ground_truth,
        prompt=str(extra.get("prompt") or ""),
        row=row if isinstance(row, Mapping) else {},
        number=number + 1 if isinstance(number, int) else None,
    )
    score = _opened(reward_path).score([answer])[0]
    return {"score": score.value, **{f"rewards/{part.name}": part.value or 0.0 for part in score.parts}}


@cache
def _opened(path: str) -> Scorer:
    """The reward in a folder, kept open in this process until it ends."""
    folder = Path(path)
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(open_scorer(load(folder).reward, folder))

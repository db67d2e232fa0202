"""The function that verl calls for each answer (`custom_reward_function.path` and `.name`)."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from platform_core.rewards.answer import Answer
from platform_core.rewards.scorer import Scorer, open_scorer
from platform_core.rewards.store import load

_opening = Lock()


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    reward_path: str = "",
    **more: Any,
) -> dict[str, float]:
    """`score` and the value of each function (`rewards/<function>`), as verl's reward managers take them.

    `reward_path`: the folder of the reward; `extra_info` may hold `prompt`, `number` (of the row, from 1) and `row` (its
    fields as JSON).
    """
    extra = extra_info or {}
    number = extra.get("number")
    answer = Answer(
        completion=solution_str,
        reference=ground_truth,
        prompt=str(extra.get("prompt") or ""),
        row=json.loads(extra.get("row") or "{}"),
        number=int(number) if number is not None else None,
    )
    with _opening:
        scorer = _opened(reward_path)
    score = scorer.score([answer])[0]
    return {"score": score.value, **{f"rewards/{part.name}": part.value or 0.0 for part in score.parts}}


@cache
def _opened(path: str) -> Scorer:
    """The reward in a folder, kept open in this process until it ends."""
    folder = Path(path)
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(open_scorer(load(folder).reward, folder))

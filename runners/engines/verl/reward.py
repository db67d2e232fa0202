"""A job's reward as verl calls it for each answer (`reward.custom_reward_function`): the one that all engines share."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

from platform_core.errors import Text
from platform_core.files import read_json, write_json
from platform_core.rewards.answer import Answer
from platform_core.rewards.cases import check_cases
from platform_core.rewards.resources import ModelScorer
from platform_core.rewards.scorer import RewardFailed, Scorer, open_scorer
from platform_core.rewards.spec import models_of
from platform_core.rewards.store import Saved, load, save
from platform_core.verl.setup import REWARD_ERRORS, Reward
from runners.engines.hf.rewards import saved_reward
from runners.job import Run
from runners.report import Report

MODULE = "pkg://runners.engines.verl.reward"
FOLDER, MODELS = "reward", "reward_models.json"
OPENING = Lock()


def prepare_reward(run: Run, report: Report, folder: Path) -> tuple[Saved, Reward]:
    """Write the job's reward into the attempt's folder and try it on its test cases; raises Problem where one fails."""
    found = saved_reward(run)
    report.phase("trying the reward")
    save(folder / FOLDER, found.reward, found.code, found.cases)
    asked = models_of(found.reward)
    write_json(folder / MODELS, {model: str(run.paths[f"reward.{name}"]) for name, model in asked.items()})
    with open_scorer(found.reward, found.folder, models(folder)) as scorer:
        if found.cases:
            check_cases(found.name, scorer, found.cases)
            report.event("reward_cases", f"the reward passes its {len(found.cases)} test cases")
    return found, Reward(MODULE, "compute_score", {"folder": str(folder)})


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None, *, folder: str
) -> dict[str, float]:
    """`score`, and the value of each function as `rewards/<function>`."""
    extra = extra_info or {}
    answer = Answer(
        completion=solution_str,
        reference=ground_truth,
        prompt=str(extra.get("prompt") or ""),
        row=json.loads(extra["row"]) if extra.get("row") else {},
        number=extra.get("number"),
    )
    with OPENING:  # verl scores in threads, and would open it twice
        scorer = opened(folder)
    try:
        score = scorer.score([answer])[0]
    except RewardFailed as problem:
        tell(folder, problem.text, stops=True)
        raise
    if score.error is not None:
        tell(folder, score.error)
    return {"score": score.value, **{f"rewards/{part.name}": part.value or 0.0 for part in score.parts}}


def tell(folder: str, error: Text, stops: bool = False) -> None:
    """Leave word for the runner: this process is none of its own."""
    line = json.dumps({"error": error.as_json(), "stops": stops}) + "\n"
    with (Path(folder) / REWARD_ERRORS).open("a") as file:
        file.write(line)


@cache
def opened(folder: str) -> Scorer:
    """The reward of an attempt, kept open in this process until it ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    place = Path(folder)
    return stack.enter_context(open_scorer(load(place / FOLDER).reward, place / FOLDER, models(place), workers=1))


def models(folder: Path) -> dict[str, ModelScorer]:
    """The reward models that the reward asks, each loaded when it is first asked."""
    return {model: partial(ask, str(place)) for model, place in (read_json(folder / MODELS) or {}).items()}


def ask(folder: str, prompts: Sequence[Any], completions: Sequence[Any]) -> list[float]:
    """The reward of each completion by the reward model in `folder`."""
    from runners.engines.hf.reward_model import score

    return score(Path(folder), prompts, completions)

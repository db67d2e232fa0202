"""What a trained reward model says; the job loads it, never the web page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from platform_core.errors import Problem, text
from platform_core.jobs.spec import setting
from platform_core.rewards.answer import Answer, Verdict
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.resources import Resources


class RewardModel(RewardFunction):
    kind: ClassVar[str] = "reward_model"

    model: str = setting(
        title="Reward model", help="A model with one score at its end: the output of a job, or one of the library.",
        pick="model", min_length=1, max_length=1000,
    )  # fmt: skip
    squash: bool = setting(
        False,
        title="Between 0 and 1",
        help="The score through a logistic curve, so that none counts without bound.",
    )


def open_(function: RewardModel, resources: Resources) -> Judge:
    """The model's score of prompt and completion. Raises Problem where nobody has loaded the model."""
    score = resources.models.get(function.model)
    if score is None:
        raise Problem(
            "The reward model {model} is loaded by a training only: here its part can't be tried.",
            model=function.model,
        )

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        values = score([a.prompt for a in answers], [a.completion for a in answers])
        if function.squash:
            values = [1 / (1 + math.exp(-min(max(value, -500.0), 500.0))) for value in values]
        return [Verdict(value, text("the model's score")) for value in values]

    return judge


KIND = Kind(
    spec=RewardModel,
    title="Reward model",
    summary="The score of a trained reward model.",
    icon="smart_toy",
    open=open_,
    where="model",
    order=75,
)

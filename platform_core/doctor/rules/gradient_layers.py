"""Layers that get no gradient, or far less than others."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case, Series
from platform_core.doctor.diagnosis import Diagnosis, Level
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import evidence
from platform_core.errors import Text, text
from platform_core.metrics.gradients import judge

LEVELS: dict[str, Level] = {"dead": "warning", "vanishing": "warning", "uneven": "info"}


def examine(case: Case) -> Diagnosis | None:
    """What `platform_core.metrics.gradients.judge` says of the newest norms; explosion has a rule of its own."""
    norms = case.norms
    if norms is None or float(np.nanmax(norms.values[-10:])) == 0:
        return None
    verdict = next((v for v in judge(norms) if v.kind in LEVELS), None)
    if verdict is None:
        return None
    layer = norms.names.index(verdict.layers[0])
    series = Series(norms.steps, norms.values[:, layer].astype("f8"))
    return Diagnosis(
        RULE.name,
        LEVELS[verdict.kind],
        verdict.says,
        _why(verdict.kind),
        None,
        int(norms.steps[-1]),
        evidence(verdict.layers[0], series),
    )


def _why(kind: str) -> Text:
    if kind == "dead":
        return text("What these layers hold stays as it was at the start, at the full cost of memory and time.")
    return text(
        "Layers that learn at very different speeds train badly together: a warm-up or another initialisation may help."
    )


RULE = Rule(
    name="gradient_layers",
    title=text("Dead or vanishing layers"),
    level="warning",
    explains=text(
        "Median gradient norms of the newest 50 logged steps: a layer below a millionth of the median one is dead, the "
        "first third of the blocks below a hundredth of the last third is vanishing, and 100 times between two blocks "
        "is told as information."
    ),
    suggests=text("No setting mends it: look at the model."),
    examine=examine,
)

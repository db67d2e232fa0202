"""NaN or infinity in what the training logs, or a runner that ended because of one."""

from __future__ import annotations

import numpy as np

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.doctor.fixes import lower_learning_rate
from platform_core.doctor.rule import Rule
from platform_core.doctor.statistics import evidence
from platform_core.errors import text
from platform_core.metrics.meanings import title

WATCHED = ("loss", "grad_norm", "reward", "kl", "entropy")
SENTENCE = "The loss became NaN"


def examine(case: Case) -> Diagnosis | None:
    """Any NaN or infinity among the newest points: none is ever right."""
    for name in WATCHED:
        if name in case.latest:
            steps, values = case.recent(name)
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                return _found(case, name, int(steps[bad[0]]))
    if case.failed and SENTENCE in case.reason:
        step = None if case.job.reason is None else case.job.reason.values.get("step")
        return _found(case, "loss", step if isinstance(step, int) else case.last_step)
    return None


def _found(case: Case, name: str, step: int) -> Diagnosis:
    series = case.recent(name)
    index = int(np.searchsorted(series.steps, step))
    infinite = index < len(series.values) and bool(np.isinf(series.values[index]))
    return Diagnosis(
        RULE.name,
        "critical",
        text("{metric} became infinite at step {step}.", metric=title(name), step=step)
        if infinite
        else text("{metric} became NaN at step {step}.", metric=title(name), step=step),
        text("Weights that a NaN has touched do not recover: what is trained from there on is lost."),
        lower_learning_rate(case),
        step,
        evidence(name, series, at=index),
    )


RULE = Rule(
    name="nan_loss",
    title=text("NaN or infinity"),
    level="critical",
    explains=text("A value of loss, gradient norm, reward, KL or entropy is NaN or infinite."),
    suggests=text("A tenth of the learning rate, and a warm-up where there is none."),
    examine=examine,
    leads_to=("loss_spike", "gradient_explosion", "gradient_layers", "plateau", "learning_rate", "crashed"),
)

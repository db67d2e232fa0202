"""Findings as the doctor's rules make them."""

from __future__ import annotations

from typing import Any

from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix, Level
from platform_core.errors import text


def finding(rule: str = "loss_spike", level: Level = "warning", step: int = 40, **changes: Any) -> Diagnosis:
    return Diagnosis(
        rule,
        level,
        text("Loss rose to {value} at step {step}.", value=6.9, step=step),
        text("A spike this high often comes before a divergence."),
        Fix(text("Lower the learning rate."), changes or {"learning_rate": 5e-6}),
        step,
        Evidence("loss", (1, 2, 3), (3.0, float("nan"), 6.9), 6.0, ("<b>line</b>",)),
    )

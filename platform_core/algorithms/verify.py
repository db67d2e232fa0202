"""The proof that a training is resumed exactly: some of its steps straight, and the same with a pause between."""

from __future__ import annotations

from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import JobSpec, setting


class VerifySpec(JobSpec):
    job: str = setting(
        title="Job", help="The id of a training that has run; the proof never touches it.", pattern="^[0-9a-z]{12}$"
    )
    steps: int = setting(
        20,
        title="Steps",
        help="Run once straight and once with a pause in the middle, from the training's beginning.",
        unit="steps",
        ge=2,
        le=100_000,
    )


ALGORITHM = Algorithm(
    name="verify",
    title="Prove exact resume",
    summary="Run the first steps of a training with and without a pause, and compare every bit.",
    icon="verified",
    role="evaluate",
    spec=VerifySpec,
    program="verify",
    metrics=("identical",),
    order=90,
)

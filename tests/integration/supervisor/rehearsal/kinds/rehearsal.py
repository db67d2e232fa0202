"""A kind of job without a model: steps that take time, checkpoints, an output, and ways to misbehave."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import JobSpec, setting

End = Literal["well", "error", "exit", "segfault", "kill", "no_result"]


class RehearsalSpec(JobSpec):
    steps: int = setting(20, title="Steps", help="Steps.", ge=1)
    step_seconds: float = setting(0.02, title="Step", help="Time of a step.", unit="s", ge=0)
    save_every: int = setting(5, title="Save every", help="Steps between checkpoints.", ge=1)
    end: End = setting("well", title="End", help="How it ends.")
    deaf: bool = setting(False, title="Deaf", help="Ignores SIGTERM.")
    children: int = setting(
        0, title="Children", help="Processes that it starts, half of them in a session of their own.", ge=0
    )
    daemons: int = setting(0, title="Daemons", help="Processes that it lets go by a double fork.", ge=0)
    forks: int = setting(0, title="Forks", help="The same of itself, with nothing executed.", ge=0)
    log_mib: float = setting(0.0, title="Log", help="What each step writes to the log.", unit="MiB", ge=0)

    def total_steps(self, rows: int | None = None) -> int | None:
        return self.steps


ALGORITHM = Algorithm(
    name="rehearsal",
    title="Rehearsal",
    summary="Steps that take time.",
    icon="timer",
    role="train",
    spec=RehearsalSpec,
    program="rehearsal",
    metrics=("loss",),
)

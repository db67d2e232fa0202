"""Places where runners run. A place is a launcher: start an attempt, look at it, stop it. `local` is this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from platform_core.errors import Text
from platform_core.jobs.outcome import Exit
from platform_core.jobs.processes import Identity
from runners.attempt import Attempt


@dataclass(frozen=True)
class Order:
    """What is to be started: attempt `number` of the job in `folder`, by `runners.programs.<program>`.

    `interpreter`: the Python that runs it, another one than the platform's where the job names an environment.
    `gpus`: UUIDs of the GPUs that it may see; empty hides all; None leaves the environment as it is.
    """

    job_id: str
    number: int
    folder: Path
    program: str
    threads: int
    gpus: tuple[str, ...] | None = None
    interpreter: str = sys.executable

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.folder, self.number)


@dataclass(frozen=True)
class Sight:
    """What a launcher sees of an attempt.

    waiting  asked for, not begun yet
    void     never began and never will: the job may be queued again; with `trouble`, that would not help
    running  its runner lives
    ended    nothing of it lives any more, `exit` says how it ended
    lost     the place does not answer: nothing is known, look again later
    """

    stage: Literal["waiting", "void", "running", "ended", "lost"]
    runner: Identity | None = None
    exit: Exit | None = None
    trouble: Text | None = None


class Launcher(Protocol):
    """One place. No call blocks for more than a moment; errors of the place are OSError or Problem."""

    def command(self, order: Order) -> list[str]:
        """What will run, for the history."""

    def launch(self, order: Order) -> None:
        """Begin an attempt whose `run.json` is written. It runs on, whatever happens to the supervisor."""

    def look(self, order: Order, known: Identity | None) -> Sight:
        """How the attempt stands; `known` is the runner as the database remembers it. Clears up behind the dead."""

    def signal(self, order: Order, runner: Identity, number: int) -> None:
        """Send a signal to the runner; SIGKILL goes to all that it has started, too."""

    def cancel(self, order: Order) -> bool:
        """Make sure that a waiting attempt never begins; False when it has begun."""

    def forget(self, order: Order) -> None:
        """The attempt is over and written down."""

    def tend(self) -> None:
        """Called at every turn of the supervisor's loop."""

    def wakes(self) -> list[int]:
        """File descriptors at which something to `tend` may arrive."""

    def close(self) -> None:
        """The supervisor ends; runners stay."""

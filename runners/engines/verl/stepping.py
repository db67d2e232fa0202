"""What the trainer's process decides at the end of each step: save, go on, stop.

verl saves every so many steps and has no signal that asks for it. The runner writes how often into `policy.json` and a
wish into the file `wish`; both lie in the folder named by LATHE_VERL_RUN, for every process of a training on one host.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "LATHE_VERL_RUN"


@dataclass(frozen=True)
class Policy:
    """When to save (steps, minutes), and the step at which it pauses by itself (proofs and tests)."""

    save_every: int | None = None
    save_every_minutes: float | None = None
    pause_at: int | None = None

    def write(self, folder: Path) -> None:
        (folder / "policy.json").write_text(json.dumps(asdict(self)))


@dataclass(frozen=True)
class Decision:
    """What follows a step."""

    save: bool = False
    stop: bool = False


class Stepping:
    """The decisions of one attempt."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ[FOLDER])
        self.policy = Policy(**json.loads((self.folder / "policy.json").read_text()))
        self._saved_at = time.monotonic()
        self._saved_step: int | None = None

    def decide(self, step: int, total: int) -> Decision:
        """After `step` of `total`: the last one is saved always, a wish saves and stops."""
        wished = (self.folder / "wish").exists() or step == self.policy.pause_at
        last = step >= total
        if last or wished or self._is_due(step):
            self._saved_at, self._saved_step = time.monotonic(), step
            return Decision(save=True, stop=wished and not last)
        if self._saved_step is None:
            self._saved_step = step - 1
        return Decision()

    def tell_stopped(self, step: int) -> None:
        """Leave word that a wish, not an error, ended the training; its checkpoint is written."""
        (self.folder / "stopped").write_text(str(step))

    def _is_due(self, step: int) -> bool:
        every, minutes = self.policy.save_every, self.policy.save_every_minutes
        by_step = (
            every is not None and step // every > (step - 1 if self._saved_step is None else self._saved_step) // every
        )
        return by_step or (minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes)

"""The one interface through which a runner speaks: metrics, events, samples, progress.

It writes only into the job's folder.
"""

from __future__ import annotations

import errno
import logging
import math
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Literal

from platform_core.clock import monotonic
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

log = logging.getLogger("lathe.runner")

Wish = Literal["stop", "pause"]


class Report:
    """What a running job tells, and what it is asked to do.

    `wish` turns to "stop" at SIGTERM and to "pause" at SIGUSR1; the work looks at it between steps.
    """

    def __init__(self, metrics_file: Path) -> None:
        self.writer = Writer(metrics_file)
        self.wish: Wish | None = None
        self.last_step = 0
        self._began: tuple[float, int] | None = None

    def listen(self) -> None:
        """Turn signals into wishes; only in the main thread of a runner."""
        signal.signal(signal.SIGTERM, self._asked)
        signal.signal(signal.SIGUSR1, self._asked)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGUSR1))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars of one step; the same step twice is merged."""
        self.last_step = max(self.last_step, step)
        self.writer.metrics(step, values)

    def event(self, kind: str, text: str, level: str = "info", **data: object) -> None:
        """Something that happened once: a phase, a checkpoint, a warning."""
        log.log(logging.getLevelNamesMapping().get(level.upper(), logging.INFO), "%s", text)
        self.writer.event(kind, text, level=level, step=self.last_step, **data)

    def sample(self, step: int, **fields: object) -> None:
        """One text that the model read or wrote: prompt, answer, reward, reference …"""
        self.writer.sample(step, **fields)

    def phase(self, name: str) -> None:
        """What is being done now, before and after the steps: "loading the model", "saving"."""
        log.info("%s", name)
        self.writer.progress(phase=name)

    def progress(self, step: int, total: int, phase: str = "running", **more: object) -> None:
        """Where the work stands; the remaining seconds come from the steps of this attempt."""
        now = monotonic()
        if self._began is None:
            self._began = (now, step)
        self.last_step = max(self.last_step, step)
        began, first = self._began
        done, left = step - first, max(total - step, 0)
        eta = (now - began) / done * left if done > 0 else None
        self.writer.progress(
            step=step, total_steps=total, eta_seconds=None if eta is None else round(eta, 1), phase=phase, **more
        )

    def resume_at(self, step: int, attempt: int = 1) -> None:
        """Forget what an earlier attempt reported after `step`: those steps run again.

        An event `resumed` says so with `step`, the last one `reported` before, and `attempt`: `step` + 1 to `reported`
        are the ones that run again.
        """
        with Reader(self.writer.path) as reader:
            reported = max((at for at, _ in reader.latest().values()), default=0)
        self.writer.truncate(step)
        self.last_step = step
        if step or reported:
            said = f"goes on from the checkpoint of step {step}" if step else "begins anew: no checkpoint was saved"
            again = f"; steps {step + 1} to {reported} run again" if reported > step else ""
            # `step` is an argument of the writer, so the data goes there as it is.
            log.info("%s", said + again)
            data = {"reported": max(reported, step), "attempt": attempt}
            self.writer.event("resumed", said + again, step=step, **data)

    def must_store(self) -> None:
        """Store all that was reported, before a checkpoint makes others forget it. Raises OSError when it can't be."""
        if not self.writer.flush():
            said = self.writer.last_error
            number = errno.ENOSPC if "full" in said or "No space" in said else errno.EIO
            raise OSError(number, f"the metrics could not be stored: {said}", str(self.writer.path))

    def close(self) -> None:
        self.writer.close()

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.wish = "pause" if number == signal.SIGUSR1 else "stop"


def finite(values: Mapping[str, float]) -> bool:
    """Whether no value is NaN or infinite."""
    return all(math.isfinite(v) for v in values.values())

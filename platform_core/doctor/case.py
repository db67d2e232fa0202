"""All that a rule of the doctor may look at: a job's row, attempt, metrics, events, samples, log end, and its host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from platform_core.clock import now
from platform_core.database.engine import reading
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.jobs.states import ACTIVE
from platform_core.jobs.store import Attempt, Job, attempts_of
from platform_core.logs.file import LogFile
from platform_core.logs.lines import shown
from platform_core.metrics.curve import Curve
from platform_core.metrics.gradients import Norms
from platform_core.metrics.reader import Event, Reader, Sample
from platform_core.workspace.service import Workspace

RECENT = 400
"""Newest logged points that are looked at one by one."""
FIRST = 32
"""Oldest logged points that are looked at one by one."""
BUCKETS = 400
FURTHEST = 200_000
"""Logged points back to which a whole curve goes, so that a look at a long run costs no more than at a short one."""
LOG_BYTES = 65_536
EVENTS, SAMPLES, NORMS = 500, 16, 50


class Series(NamedTuple):
    """Logged points in order: `steps`, and `values` as float64 with NaN and infinities as they were."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One job at `now`. All reads are bounded and happen when first asked for; `close` lets the metrics go.

    `history` holds snapshots of the host, oldest first, `snapshot` the newest; None where nobody samples.
    """

    job: Job
    now: float
    attempt: Attempt | None = None
    metrics: Path | None = None
    log: Path | None = None
    snapshot: Snapshot | None = None
    history: tuple[Snapshot, ...] = ()
    _recent: dict[str, Series] = field(default_factory=dict, repr=False, compare=False)
    _whole: dict[str, Curve] = field(default_factory=dict, repr=False, compare=False)

    @property
    def live(self) -> bool:
        """Whether a process belongs to the job now."""
        return self.job.state in ACTIVE

    @property
    def failed(self) -> bool:
        return self.job.state == "failed"

    @property
    def every(self) -> int:
        """Steps between two logged points."""
        return max(1, int(self.job.spec.get("logging_steps") or 1))

    def setting(self, name: str, default: Any = None) -> Any:
        """The value of a setting of the job's spec."""
        found = self.job.spec.get(name)
        return default if found is None else found

    @cached_property
    def run(self) -> Reader:
        """The job's metrics as one snapshot; an empty run when there are none."""
        return Reader(self.metrics or Path("metrics.sqlite.absent"))

    @cached_property
    def latest(self) -> dict[str, tuple[int, float]]:
        """The newest step of each metric and its value."""
        return self.run.latest()

    @cached_property
    def last_step(self) -> int:
        """The newest step at which any metric was logged; 0 before the first."""
        return max((step for step, _ in self.latest.values()), default=0)

    def recent(self, name: str) -> Series:
        """The newest points of a metric, at most `RECENT`."""
        if name not in self._recent:
            last = self.latest.get(name, (0, 0.0))[0]
            steps, values = self.run.points(name, last - RECENT * self.every + 1, last)
            self._recent[name] = Series(steps[-RECENT:], values[-RECENT:])
        return self._recent[name]

    def first(self, name: str) -> Series:
        """The oldest points of a metric, at most `FIRST`."""
        steps, values = self.run.points(name, None, (FIRST + 1) * self.every)
        return Series(steps[:FIRST], values[:FIRST])

    def whole(self, name: str) -> Curve:
        """A metric over the run in at most `BUCKETS` buckets; of a very long run its newest `FURTHEST` points."""
        if name not in self._whole:
            last = self.latest.get(name, (0, 0.0))[0]
            low = last - FURTHEST * self.every
            self._whole[name] = self.run.curve(name, BUCKETS, low if low > 0 else None)
        return self._whole[name]

    def trend(self, name: str) -> Series:
        """`whole` as one series of bucket means."""
        curve = self.whole(name)
        return Series(curve.steps, curve.mean)

    @cached_property
    def events(self) -> list[Event]:
        """What happened, oldest first."""
        return self.run.events(limit=EVENTS)

    @cached_property
    def samples(self) -> list[Sample]:
        """The newest samples, newest first."""
        return self.run.samples(SAMPLES)

    @cached_property
    def norms(self) -> Norms | None:
        """The newest gradient norms by layer; None when none were logged."""
        last = self.latest.get("grad_norm", (0, 0.0))[0]
        found = self.run.vectors("grad_norm", last - NORMS * self.every + 1, last)
        return Norms(found.steps, found.names, found.values) if len(found.steps) else None

    @cached_property
    def progress(self) -> dict[str, object]:
        """What the runner told of its progress, with `updated_at`; newer than that of the job's row."""
        return self.run.progress() or dict(self.job.progress)

    @cached_property
    def log_lines(self) -> list[str]:
        """The end of the newest attempt's log, at most `LOG_BYTES`, fit to show."""
        try:
            with LogFile(self.log or Path("log.txt.absent")) as log:
                start = max(0, log.size - LOG_BYTES)
                lines = log.read(start, log.size - start).splitlines()
        except OSError:
            return []
        return [shown(line) for line in lines[1 if start else 0 :]]

    @property
    def reason(self) -> str:
        """Why the job is in its state, in English."""
        return "" if self.job.reason is None else str(self.job.reason)

    @property
    def cause(self) -> str | None:
        """Why the newest attempt failed, in one word of `platform_core.jobs.retry.Cause`."""
        return None if self.attempt is None else self.attempt.cause

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that were given to the newest attempt, as the newest snapshot shows them."""
        return self.gpus_of(self.snapshot)

    def gpus_of(self, snapshot: Snapshot | None) -> tuple[Gpu, ...]:
        """The job's GPUs in a snapshot."""
        if snapshot is None or self.attempt is None:
            return ()
        return tuple(gpu for gpu in snapshot.gpus if gpu.uuid in self.attempt.devices)

    def close(self) -> None:
        """Let the snapshot of the metrics go; what was read stays."""
        if "run" in self.__dict__:
            self.run.close()
            del self.__dict__["run"]


def case_of(workspace: Workspace, job: Job, snapshot: Snapshot | None = None, history: Sequence[Snapshot] = ()) -> Case:
    """The case of a job: its attempt `job.attempt`, its files, and its host as `snapshot` and `history` show it."""
    with reading(workspace.engine) as connection:
        attempts = attempts_of(connection, job.id)
    folder = workspace.job_folder(job.id)
    newest = next((a for a in reversed(attempts) if a.number <= job.attempt), None)
    return Case(
        job=job,
        now=now(),
        attempt=newest,
        metrics=folder / "metrics.sqlite",
        log=folder / "attempts" / str(newest.number) / "log.txt" if newest else None,
        snapshot=snapshot or (history[-1] if history else None),
        history=tuple(history),
    )

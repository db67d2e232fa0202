"""What the supervisor does for each job that has a process: see how it stands, pass on wishes, write what is true."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from platform_core.clock import monotonic, now
from platform_core.database.engine import reading, writing
from platform_core.durations import exact
from platform_core.errors import Problem, Text, text
from platform_core.files import signature
from platform_core.jobs import processes, store
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.outcome import Exit, Outcome, has_checkpoint, last_error_line, outcome
from platform_core.jobs.processes import Identity
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from platform_core.queue import service as queue
from platform_core.queue.capacity import capacity
from platform_core.queue.line import ran_before
from platform_core.workspace.service import Workspace
from runners.launchers import Launcher, Order, Sight
from runners.log_rotation import Rotation
from runners.sweep import Sweeper

log = logging.getLogger("lathe.supervisor")
READ_EVERY = 1.0
SPARKLINE_POINTS = 50
MOST_VOID = 5
"""Attempts in a row that may come to nothing before the job fails."""


@dataclass
class Watch:
    """What is remembered of one attempt between two looks; a new supervisor can do without."""

    order: Order
    launched_at: float
    said_before: float | None = None
    runner: Identity | None = None
    recorded: bool = False
    asked: dict[int, float] = field(default_factory=dict)
    killed_after: float | None = None
    running_until: float | None = None
    read_at: float = 0.0
    files: tuple[int, ...] = ()
    complained: str = ""

    def spoken(self, progress: dict[str, object]) -> bool:
        """Whether the runner of this very attempt has told how far it is."""
        at = progress.get("updated_at")
        if not isinstance(at, float):
            return False
        return at != self.said_before if self.said_before is not None else at >= self.launched_at


class Watcher:
    """Looks after all jobs with a process; each call for one job leaves the others alone."""

    def __init__(self, workspace: Workspace, launcher: Launcher, sweeper: Sweeper, grace: float) -> None:
        self.workspace, self.launcher, self.sweeper, self.grace = workspace, launcher, sweeper, grace
        self.progress: dict[str, dict[str, Any]] = {}
        """Columns to be copied into rows, written together once a turn."""
        self._watches: dict[tuple[str, int], Watch] = {}
        self._logs = Rotation()

    def expect(self, order: Order, launched_at: float) -> None:
        """An attempt is about to be launched."""
        before = self._read_progress(order).get("updated_at")
        said = before if isinstance(before, float) else -1.0
        self._watches[order.job_id, order.number] = Watch(order, launched_at, said_before=said)

    def look(self, job: Job, order: Order) -> None:
        """Bring the row of one job in line with what its processes do."""
        watch = self._watch(job, order)
        sight = self.launcher.look(order, watch.runner)
        watch.runner = sight.runner or watch.runner
        if sight.stage == "lost":
            return
        if not (order.attempt.folder if watch.runner else order.folder).is_dir():
            self._folder_is_gone(job, watch, sight)
        elif sight.stage == "waiting":
            if job.state == "stopping" and self.launcher.cancel(order):
                self._end_unbegun(job, None)
        elif sight.stage == "void":
            self._end_unbegun(job, sight.trouble)
        elif sight.stage == "running":
            self._look_after(job, watch)
        else:
            self._settle(job, watch, sight.exit or Exit())

    def fail_unbegun(self, job: Job, order: Order, trouble: Text) -> None:
        """End an attempt whose launch raised an error, so that no process was started."""
        with suppress(OSError):
            self.launcher.cancel(order)
        self._end_unbegun(job, trouble)

    def forget_all_but(self, keys: set[tuple[str, int]]) -> None:
        """Drop what is remembered of attempts that are over."""
        for key in self._watches.keys() - keys:
            self.launcher.forget(self._watches.pop(key).order)

    def _watch(self, job: Job, order: Order) -> Watch:
        key = (job.id, job.attempt)
        if key not in self._watches:
            watch = Watch(order, job.started_at or 0.0)
            with reading(self.workspace.engine) as connection:
                last = next((a for a in store.attempts_of(connection, job.id) if a.number == job.attempt), None)
            if last and last.pid is not None and last.pid_started is not None:
                watch.runner, watch.recorded = Identity(last.pid, last.pid_started, last.boot_id or ""), True
            log.info("job %s: taking over attempt %d, %s", job.id, job.attempt, job.state)
            self._watches[key] = watch
        return self._watches[key]

    def _look_after(self, job: Job, watch: Watch) -> None:
        if watch.runner is not None and not watch.recorded:
            who = watch.runner
            with writing(self.workspace.engine) as connection:
                store.update_attempt(
                    connection, job.id, job.attempt, pid=who.pid, pid_started=who.start_ticks, boot_id=who.boot_id
                )
            watch.recorded = True
        if job.state == "running" and job.time_limit is not None:
            self._limit(job, watch, job.time_limit)
        if job.state == "stopping":
            self._stop(job, watch)
        elif job.state == "pausing":
            self._ask(watch, signal.SIGUSR1)
        self._logs.look(watch.order.attempt.log)
        self._copy_progress(job, watch, every=0.0 if job.state == "starting" else READ_EVERY)

    def _limit(self, job: Job, watch: Watch, limit: float) -> None:
        """Stop a job that has run for its time limit, all attempts together; the attempt's row remembers why."""
        if watch.running_until is None:
            with reading(self.workspace.engine) as connection:
                before = ran_before(connection, [job.id]).get(job.id, 0.0)
            watch.running_until = monotonic() + limit - before - max(0.0, now() - (job.started_at or now()))
        if monotonic() < watch.running_until:
            return
        with writing(self.workspace.engine) as connection:
            reason = text("Its time limit of {limit} is reached.", limit=exact(limit))
            if store.change_state(connection, job.id, ("running",), "stopping", queue.ACTOR, reason):
                store.update_attempt(connection, job.id, job.attempt, cause="time_limit")
                log.info("job %s: attempt %d reached its time limit", job.id, job.attempt)

    def _ask(self, watch: Watch, number: int) -> None:
        if number not in watch.asked and watch.runner is not None:
            self.launcher.signal(watch.order, watch.runner, number)
            watch.asked[number] = monotonic()

    def _stop(self, job: Job, watch: Watch) -> None:
        self._ask(watch, signal.SIGTERM)
        waited = monotonic() - watch.asked.get(signal.SIGTERM, monotonic())
        if waited >= self.grace and watch.runner is not None:
            if watch.killed_after is None:
                log.warning("job %s did not stop within %g s: killed", job.id, self.grace)
            watch.killed_after = self.grace
            self.launcher.signal(watch.order, watch.runner, signal.SIGKILL)

    def _copy_progress(self, job: Job, watch: Watch, every: float) -> None:
        metrics = metrics_file(self.workspace, job)
        files = signature(metrics, metrics.with_name(metrics.name + "-wal"))
        if files == watch.files or monotonic() - watch.read_at < every:
            return
        watch.files, watch.read_at = files, monotonic()
        try:
            columns, spoken = self._read_metrics(job, watch)
        except Problem as problem:
            if watch.complained != str(problem):
                log.warning("job %s: %s", job.id, problem)
            watch.complained = str(problem)
            return
        if columns:
            self.progress[job.id] = columns
        if job.state == "starting" and spoken:
            with writing(self.workspace.engine) as connection:
                queue.mark_running(connection, job)

    def _read_metrics(self, job: Job, watch: Watch) -> tuple[dict[str, Any], bool]:
        with Reader(metrics_file(self.workspace, job)) as run:
            progress = run.progress()
            if not watch.spoken(progress):
                return {}, False
            main = queue.main_metric(job.kind)
            columns = {
                "progress": queue.as_json(progress),
                "latest": queue.last_values(job.kind, run.latest()),
                "sparkline": run.sparkline(main, SPARKLINE_POINTS) if main else [],
            }
            return columns, True

    def _read_progress(self, order: Order) -> dict[str, object]:
        try:
            with Reader(order.folder / "metrics.sqlite") as run:
                return run.progress()
        except Problem:
            return {}

    def _end_unbegun(self, job: Job, trouble: Text | None) -> None:
        with writing(self.workspace.engine) as connection:
            earlier = store.attempts_of(connection, job.id)[-MOST_VOID:-1]
            if trouble is None and len(earlier) == MOST_VOID - 1 and all(a.outcome == "void" for a in earlier):
                trouble = text("The runner was killed {n} times before it could begin.", n=MOST_VOID)
            if job.state == "stopping":
                who = queue.stopped_by(connection, job.id)
                queue.settle(connection, job, "stopped", text("Stopped by {who} before it began.", who=who))
            elif job.state == "starting" and trouble is None:
                queue.requeue(connection, job, text("It had not begun when the supervisor or its keeper ended."))
            else:
                reason = trouble or text("The attempt never began: start it again.")
                queue.settle(connection, job, "failed", reason, cause="never_began")
        log.info("job %s: attempt %d never began: %s", job.id, job.attempt, trouble or "no trouble")

    def _folder_is_gone(self, job: Job, watch: Watch, sight: Sight) -> None:
        if sight.stage == "running" and watch.runner is not None:
            self.launcher.signal(watch.order, watch.runner, signal.SIGKILL)
            if processes.alive(watch.runner):
                return  # still dying: the next look finds it ended
        reason = text("Its folder was deleted while it ran, and its output with it: clone the job to run it again.")
        found = Outcome("stopped" if job.state == "stopping" else "failed", reason, cause="deleted")
        self._write_end(job, found, sight.exit or Exit())

    def _settle(self, job: Job, watch: Watch, ended: Exit) -> None:
        self._copy_progress(job, watch, every=0.0)
        self._logs.look(watch.order.attempt.log, ended=True)
        self.sweeper.clear_job(watch.order.folder)
        with reading(self.workspace.engine) as connection:
            stopped_by = queue.stopped_by(connection, job.id)
            tried = next((a for a in store.attempts_of(connection, job.id) if a.number == job.attempt), None)
        if watch.runner is not None and watch.runner.boot_id != processes.boot_id():
            ended = replace(ended, rebooted=True)  # what shut the machine down may have let the runner save and end
        found = outcome(
            job.state,
            ended,
            watch.order.attempt.read_result(),
            has_output=(watch.order.folder / "output").exists(),
            has_checkpoint=has_checkpoint(watch.order.folder),
            error_line=last_error_line(watch.order.attempt.log),
            stopped_by=stopped_by,
            killed_after=watch.killed_after,
            time_limit=job.time_limit if tried is not None and tried.cause == "time_limit" else None,
            gpus=self._gpus(tried.devices if tried is not None else []),
        )
        self._write_end(job, found, ended)

    def _gpus(self, devices: list[str]) -> Literal["none", "ours", "shared"]:
        """Whether a job had GPUs, and whether other programs are on them."""
        if not devices:
            return "none"
        gpus = [gpu for gpu in capacity(self.workspace).gpus if gpu.uuid in devices]
        return "shared" if any(p.job_id is None for gpu in gpus for p in gpu.processes) else "ours"

    def _write_end(self, job: Job, found: Outcome, ended: Exit) -> None:
        columns = self.progress.get(job.id, {})
        with writing(self.workspace.engine) as connection:
            now_there = store.get_job(connection, job.id)
            if now_there is None or (now_there.state, now_there.attempt) != (job.state, job.attempt):
                return  # somebody asked for something meanwhile: look again
            done = queue.settle(
                connection,
                now_there,
                found.state,
                found.reason,
                result=found.result,
                exit_code=ended.code,
                signal=ended.signal,
                cause=found.cause,
                **columns,
            )
        if done:
            self.progress.pop(job.id, None)
            said = f": {found.reason}" if found.reason else ""
            log.info("job %s: attempt %d is %s%s", job.id, job.attempt, found.state, said)

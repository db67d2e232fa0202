"""How the supervisor moves the queue: waits that are for nothing are ended, and what may start is started."""

from __future__ import annotations

import logging
import socket
from dataclasses import replace
from functools import partial

from platform_core.algorithms.registry import algorithm
from platform_core.clock import now
from platform_core.database.engine import is_of_database, reading, writing
from platform_core.environment.machine import usable_cores
from platform_core.environments import service as environments
from platform_core.errors import Problem, Text, text
from platform_core.jobs.folder import write_run
from platform_core.jobs.store import Job
from platform_core.jobs.supervision import LOG
from platform_core.queue import service as queue
from platform_core.queue.capacity import capacity
from platform_core.queue.fair_share import UsageCounter
from platform_core.queue.placement import still_free
from platform_core.workspace.service import Workspace
from runners.launchers import Launcher, Order
from runners.place import Complaints
from runners.watch import Watcher

log = logging.getLogger("lathe.supervisor")


class Starter:
    """Starts jobs at the launcher; the watcher looks after them from then on."""

    def __init__(self, workspace: Workspace, launcher: Launcher, watcher: Watcher, complaints: Complaints) -> None:
        self.workspace, self.launcher, self.watcher, self.complaints = workspace, launcher, watcher, complaints
        self.cores = usable_cores()
        self._usage = UsageCounter()

    def order(self, job: Job) -> Order:
        """What starts the current attempt of a job, and what it is looked at by."""
        try:
            program = algorithm(job.kind).program
        except Problem:  # a kind of another version: what runs is still looked after
            program = ""
        folder = self.workspace.job_folder(job.id)
        return Order(job.id, job.attempt, folder, program, max(1, min(job.cpu_slots, self.cores)))

    def move_queue(self) -> bool:
        """One look at the queue; True when it has to be looked at again at once."""
        with reading(self.workspace.engine) as connection:
            if not queue.is_anyone_waiting(connection):
                return False
        have = capacity(self.workspace)
        with reading(self.workspace.engine) as connection:
            overlong = queue.overlong_waits(connection)
            hopeless = queue.hopeless(connection)
            claimable = queue.claimable(connection, have, self._usage.usage(connection, queue.whole(have)))
        for job_id, at in overlong:
            with writing(self.workspace.engine) as connection:
                queue.start_sooner(connection, job_id, at)
            log.info("job %s: the clock was put back while it waited for its retry", job_id)
        if hopeless:
            with writing(self.workspace.engine) as connection:
                for job_id, reason in hopeless:
                    queue.give_up(connection, job_id, reason)
                    log.info("job %s: %s", job_id, reason)
        for chosen in claimable:
            self.complaints.apart(chosen.job, partial(self._start, gpus=chosen.gpus if have.gpus else None))
        return bool(hopeless)  # others may wait for those

    def _start(self, job: Job, gpus: tuple[str, ...] | None) -> None:
        begun = replace(job, state="starting", attempt=job.attempt + 1)
        try:
            algorithm(job.kind)  # a kind of another version can be looked after, but not started
            python = environments.interpreter(self.workspace.home, job.spec.get("environment"), job.engine)
        except Problem as problem:
            with writing(self.workspace.engine) as connection:
                queue.give_up(connection, job.id, problem.text)
            return
        order = replace(self.order(begun), gpus=gpus, interpreter=python)
        with writing(self.workspace.engine) as connection:
            number = queue.claim(
                connection,
                job,
                order.threads,
                host=socket.gethostname(),
                interpreter=order.interpreter,
                command=self.launcher.command(order),
                gpus=gpus or (),
            )
        if not number:
            return
        log.info("job %s: attempt %d (%s, %d threads)", job.id, number, job.kind, order.threads)
        trouble = self._launch(begun, order)
        if trouble is not None:
            self.watcher.fail_unbegun(begun, order, trouble)

    def _launch(self, begun: Job, order: Order) -> Text | None:
        """Launch an attempt that has its row, or put its job back when its GPUs were taken; why it can't begin."""
        try:
            self.watcher.expect(order, now())
            write_run(self.workspace, begun, order.number, order.threads)
            gpus, need = order.gpus, begun.gpu_memory_bytes
            taken = still_free(gpus, need, capacity(self.workspace).gpus) if gpus else None
            if taken is not None:
                self._put_back(begun, taken)
            else:
                self.launcher.launch(order)
        except Problem as problem:
            return problem.text
        except OSError as error:
            return text(
                "The job's folder can't be written ({reason}): look at the disk's free space and the folder's owner, "
                "then start the job again.",
                reason=error.strerror or str(error),
            )
        except Exception as error:
            if is_of_database(error):
                raise
            self.complaints.say(f"job {begun.id}", error)
            return text("It could not be started: the supervisor's log, {log}, has the reason.", log=LOG)
        return None

    def _put_back(self, begun: Job, reason: Text) -> None:
        with writing(self.workspace.engine) as connection:
            queue.requeue(connection, begun, reason, outcome="waited")
        log.info("job %s: attempt %d: %s", begun.id, begun.attempt, reason)

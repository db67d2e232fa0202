"""Why a job waits, in one sentence, and when it is likely to start, as a range that promises nothing it can't know."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from platform_core.durations import coarse, exact
from platform_core.errors import Text, text
from platform_core.jobs.states import word
from platform_core.queue.line import Entry, Line, Needed, Runs
from platform_core.queue.placement import Capacity, at_least, chosen
from platform_core.queue.plan import Plan

SLACK = 0.1
ENDING = 60.0
"""Seconds in which a job that was asked to stop or pause has saved and ended."""


@dataclass(frozen=True)
class Wait:
    """Why a job waits, and the least and the most seconds until it starts; infinite where nobody can know."""

    reason: Text
    low: float = 0.0
    high: float = math.inf

    @property
    def expected(self) -> Text:
        """The expected start in words."""
        if self.high < 5:
            return text("within a moment")
        if math.isinf(self.low) or (math.isinf(self.high) and self.low < 1):
            return text("not known")
        if math.isinf(self.high):
            return text("in {time} or later", time=coarse(self.low))
        low, high = coarse(max(self.low, 1.0)), coarse(self.high)
        if str(low) == str(high):
            return text("in about {time}", time=high)
        if self.low < 1:
            return text("within {time}", time=high)
        return text("in {low} to {high}", low=low, high=high)


def waits(line: Line, capacity: Capacity, plan: Plan) -> dict[str, Wait]:
    """Why each queued job waits; those that start at the supervisor's next look as well."""
    ends = {job.id: seconds_left(job, line.time) for job in line.running}
    starting = {start.job.id for start in plan.starts}
    reasons: dict[str, Text] = {}
    earliest: dict[str, tuple[float, float]] = {}
    for job in line.waiting:
        needs = line.needs.get(job.id, ())
        later = max(0.0, (job.not_before or 0.0) - line.time)
        earliest[job.id] = (later, later)
        if needs:
            reasons[job.id] = _needs(needs)
            low, high = zip(*(ends.get(n.id, (0.0, math.inf)) for n in needs), strict=True)
            earliest[job.id] = (max(later, *low), max(later, *high))
        elif later:
            reasons[job.id] = _later(job, later)
        elif job.id in starting:
            reasons[job.id] = text("Starts within a moment.")
        elif job.id in plan.lacks:
            reasons[job.id] = plan.lacks[job.id].reason
            earliest[job.id] = _chosen_free(job, line, capacity, ends, later)
        else:
            reasons[job.id] = text("Waits for its turn.")
    outside = {job_id for job_id, lack in plan.lacks.items() if not lack.ours}
    lows = _simulate(line, capacity, starting, {j: e[0] for j, e in earliest.items()}, ends, 0)
    highs = _simulate(line, capacity, starting, {j: e[1] for j, e in earliest.items()}, ends, 1)
    # what the plan knows of single GPUs and of memory really free, and the simulation does not
    outside |= {job_id for job_id in plan.lacks if highs[job_id] <= 0.0}
    return {
        job.id: Wait(reasons[job.id], 0.0 if job.id in outside else lows[job.id],
                     math.inf if job.id in outside else highs[job.id])
        for job in line.waiting
    }  # fmt: skip


def seconds_left(job: Runs, at: float) -> tuple[float, float]:
    """The least and the most seconds that a running job will still take, by its own forecast, its pace as a whole and
    its time limit; (0, infinite) where nothing is known."""
    if job.state in ("stopping", "pausing"):
        return 0.0, ENDING
    most = math.inf
    if job.time_limit is not None and job.started_at is not None:
        most = max(0.0, job.time_limit - job.ran_before - (at - job.started_at)) + ENDING
    left, told = job.progress.get("eta_seconds"), job.progress.get("updated_at")
    if job.progress.get("phase") != "running" or not isinstance(left, int | float) or not isinstance(told, int | float):
        return 0.0, most
    passed = at - told
    guesses = [float(left)]
    step, total = job.progress.get("step"), job.progress.get("total_steps")
    if step and total and job.started_at is not None and told > job.started_at and not job.ran_before:
        guesses.append((told - job.started_at) / step * max(0, total - step))
    low, high = (max(0.0, guess - passed) for guess in (min(guesses), max(guesses)))
    return min(low * (1 - SLACK), most), min(high * (1 + SLACK), most)


def _chosen_free(
    job: Entry, line: Line, capacity: Capacity, ends: dict[str, tuple[float, float]], later: float
) -> tuple[float, float]:
    """When the GPUs that a job chose have been given back by all of our jobs that hold one of them."""
    wanted = {gpu.uuid for gpu in chosen(job, capacity.gpus)} if job.gpu_indexes else set()
    held = [ends[other.id] for other in line.running if wanted & set(other.devices)]
    return max([later, *(low for low, _ in held)]), max([later, *(high for _, high in held)])


def _needs(needs: tuple[Needed, ...]) -> Text:
    first = needs[0]
    if first.deleted:
        return text("Waits for “{name}”, which is in the trash: restore it.", name=first.name)
    if first.state in ("pending", "paused"):
        return text(
            "Waits for the output of “{name}”, which is {state}: start it.", name=first.name, state=word(first.state)
        )
    if len(needs) > 1:
        return text("Waits for the output of “{name}” and of {n} more.", name=first.name, n=len(needs) - 1)
    return text("Waits for the output of “{name}”, which is {state}.", name=first.name, state=word(first.state))


def _later(job: Entry, later: float) -> Text:
    if job.retried and job.reason is not None:
        return text("{reason} It starts in {time}.", reason=job.reason, time=exact(later))
    return text("Was told to start later: in {time}.", time=exact(later))


def _simulate(
    line: Line,
    capacity: Capacity,
    starting: set[str],
    earliest: dict[str, float],
    ends: dict[str, tuple[float, float]],
    bound: int,
) -> dict[str, float]:
    """Seconds until each waiting job starts when all ends come at their low (`bound` 0) or high (1) bound.

    In the order of the queue, nobody passing: passing makes a start earlier, which the low bound of none does.
    A job that waits may run no time at all in the low case, and in the high case as long as its time limit says.
    """
    cores, memory, gpus = capacity.cpu_slots, float(capacity.memory or math.inf), len(capacity.gpus)
    free = [float(cores), memory, float(gpus)]
    events: list[tuple[float, int, tuple[float, float, float]]] = []
    for number, running in enumerate(line.running):
        takes = (float(capacity.share(running)), float(running.memory_bytes), float(len(running.devices)))
        free = [have - take for have, take in zip(free, takes, strict=True)]
        heapq.heappush(events, (ends[running.id][bound], number, takes))
    at, found, taken = 0.0, {}, {uuid for job in line.running for uuid in job.devices}
    for number, job in enumerate(line.waiting, len(line.running)):
        takes = (float(capacity.share(job)), min(float(job.memory_bytes), memory), float(job.gpus))
        wants = (takes[0], takes[1], takes[2] + _no_use(job, capacity, taken))
        begin = earliest[job.id]
        if job.id not in starting and begin <= at:
            while events and any(want > have for want, have in zip(wants, free, strict=True)):
                at, _number, back = heapq.heappop(events)
                free = [have + more for have, more in zip(free, back, strict=True)]
            begin = at if all(want <= have for want, have in zip(wants, free, strict=True)) else math.inf
        found[job.id] = 0.0 if job.id in starting else begin
        if math.isinf(begin) or begin > at:
            continue  # it takes its place when its time comes; those behind it go on
        lasts = 0.0 if bound == 0 else math.inf if job.time_limit is None else job.time_limit
        free = [have - take for have, take in zip(free, takes, strict=True)]
        heapq.heappush(events, (at + lasts, number, takes))
    return found


def _no_use(job: Entry, capacity: Capacity, taken: set[str]) -> int:
    """How many GPUs that no job of ours has are of no use to a job: not chosen, reserved, too full by others."""
    if not job.gpus:
        return 0
    may = chosen(job, capacity.gpus)
    return sum(
        gpu not in may or gpu.uuid in capacity.reserved or gpu.memory_free < at_least(job.gpu_memory_bytes, gpu)
        for gpu in capacity.gpus
        if gpu.uuid not in taken
    )

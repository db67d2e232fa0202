"""Which job gets which cores, memory and GPUs of this host, by what is free now.

What other programs hold is not free: a job waits for it and names who holds it. A GPU belongs to one of our jobs at a
time. All of this is arithmetic on a snapshot: nothing is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from platform_core.errors import Text, text
from platform_core.hosts.devices import Gpu, GpuProcess, Snapshot

GIB = 2**30
NAMED = 3
What = Literal["cores", "memory", "gpus", "host", "turn"]


class Asks(Protocol):
    """What a job asks of a host."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def cpu_slots(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def gpus(self) -> int: ...
    @property
    def gpu_memory_bytes(self) -> int: ...
    @property
    def gpu_indexes(self) -> Sequence[int]: ...


class Holds(Asks, Protocol):
    """A job with a process, and the GPUs (UUIDs) that it has."""

    @property
    def devices(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Capacity:
    """What this host gives to jobs: cores, memory (0: not counted), GPUs as the snapshot shows them.

    `reserved`: GPU (UUID) → for whom; `drained` says why nothing starts here at all.
    """

    cpu_slots: int
    memory: int = 0
    snapshot: Snapshot | None = None
    reserved: Mapping[str, str] = field(default_factory=dict)
    drained: Text | None = None

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        return self.snapshot.gpus if self.snapshot is not None else ()

    def share(self, job: Asks) -> int:
        """CPU slots that the job takes here: what it asks for, at most the whole machine."""
        return max(1, min(job.cpu_slots, self.cpu_slots))


@dataclass(frozen=True)
class Lack:
    """What a job misses. `ours`: it could start if our own jobs ended, so that what is free is kept for it."""

    what: What
    ours: bool
    reason: Text


def place(
    job: Asks, snapshot: Snapshot | None, taken: Mapping[str, str], reserved: Mapping[str, str]
) -> tuple[str, ...] | Lack:
    """The GPUs (UUIDs) that a job gets, or what it misses. One that chose GPUs by their indexes gets these or waits.

    `taken`: GPU → name of our job that has it; `reserved`: GPU → for whom. Of those with enough free memory, those
    without other people's processes go first, then the smallest, then the idlest, so that big ones stay free.
    """
    if job.gpus == 0:
        return ()
    gpus = chosen(job, snapshot.gpus if snapshot is not None else ())
    if len(gpus) < job.gpus:
        return Lack("gpus", False, _too_few(job, snapshot))
    need = job.gpu_memory_bytes
    usable = [g for g in gpus if g.uuid not in taken and g.uuid not in reserved and g.memory_free >= at_least(need, g)]
    if len(usable) >= job.gpus:
        best = sorted(usable, key=lambda g: (bool(_foreign(g)), g.memory_total, g.utilization or 0.0, g.index))
        return tuple(g.uuid for g in sorted(best[: job.gpus], key=lambda g: g.index))
    ours = [
        g for g in gpus if g.uuid in taken and g.uuid not in reserved and g.memory_total - _foreign_bytes(g) >= need
    ]
    return Lack("gpus", len(usable) + len(ours) >= job.gpus, _gpus_missing(job, gpus, taken, reserved, need))


def chosen(job: Asks, gpus: Sequence[Gpu]) -> Sequence[Gpu]:
    """Those of a host's GPUs that a job may get."""
    return [gpu for gpu in gpus if gpu.index in job.gpu_indexes] if job.gpu_indexes else gpus


def at_least(need: int, gpu: Gpu) -> int:
    """What must be free on a GPU, in bytes; half of it for a job whose need (0) is not known."""
    return need or gpu.memory_total // 2


def still_free(uuids: Sequence[str], need: int, gpus: Sequence[Gpu]) -> Text | None:
    """Why GPUs that were chosen a moment ago can't be had any more; None when they can."""
    there = {g.uuid: g for g in gpus}
    for uuid in uuids:
        gpu = there.get(uuid)
        if gpu is None:
            return text("A GPU that it was to get ({uuid}) does not answer any more.", uuid=uuid)
        if gpu.memory_free < at_least(need, gpu):
            return text("A GPU that it was to get was taken a moment before: {obstacle}.", obstacle=_held(gpu))
    return None


@dataclass
class Room:
    """What is free while jobs are let in one by one; `behind` names the job for which something is kept."""

    capacity: Capacity
    cores: int
    memory: float
    available: float
    taken: dict[str, str]
    holders: list[Asks]
    kept: set[str] = field(default_factory=set)
    behind: str = ""

    def lack(self, job: Asks) -> tuple[str, ...] | Lack:
        """The GPUs that a job gets when it starts now, or what it misses."""
        if self.capacity.drained is not None:
            return Lack("host", False, self.capacity.drained)
        if self.capacity.share(job) > self.cores:
            return Lack("cores", True, self._cores_missing(job))
        memory = self._memory_lack(job)
        if memory is not None:
            return memory
        taken = self.taken | dict.fromkeys(self.kept, self.behind)
        return place(job, self.capacity.snapshot, taken, self.capacity.reserved)

    def _memory_lack(self, job: Asks) -> Lack | None:
        if not self.capacity.memory or not job.memory_bytes:
            return None
        if job.memory_bytes > self.memory and (self.holders or self.behind):
            return Lack("memory", True, self._memory_missing(job))
        if job.memory_bytes > self.available and job.memory_bytes <= self.capacity.memory:
            return Lack("memory", bool(self.holders or self.behind), self._memory_missing(job))
        return None  # more than the whole machine has: alone it may try, its form said so

    def take(self, job: Asks, gpus: Sequence[str]) -> None:
        """Let a job in."""
        self.cores -= self.capacity.share(job)
        self.memory -= job.memory_bytes
        self.available -= job.memory_bytes
        self.taken.update(dict.fromkeys(gpus, job.name))
        self.holders.append(job)

    def keep(self, job: Asks, lack: Lack) -> None:
        """Keep what a waiting job needs, and all of what it misses, from those behind it: a big job gets its turn."""
        self.behind = self.behind or job.name
        self.cores = 0 if lack.what == "cores" else max(0, self.cores - self.capacity.share(job))
        self.memory = 0 if lack.what == "memory" else max(0, self.memory - job.memory_bytes)
        self.available = 0 if lack.what == "memory" else max(0, self.available - job.memory_bytes)
        if job.gpus:
            self.kept |= {g.uuid for g in chosen(job, self.capacity.gpus)}

    def copy(self) -> Room:
        return replace(self, taken=dict(self.taken), holders=list(self.holders), kept=set(self.kept))

    def _cores_missing(self, job: Asks) -> Text:
        want, whole = self.capacity.share(job), self.capacity.cpu_slots
        taken = min(whole, sum(self.capacity.share(other) for other in self.holders))
        if want == 1:
            return text("Waits for a free CPU core: all {all} are taken by {names}.", all=whole,
                        names=names(self.holders))  # fmt: skip
        return text(
            "Waits for {n} CPU cores: {taken} of {all} are taken by {names}.",
            n=want,
            taken=taken,
            all=whole,
            names=names(self.holders),
        )

    def _memory_missing(self, job: Asks) -> Text:
        need, free = job.memory_bytes / GIB, max(0.0, min(self.memory, self.available)) / GIB
        if self.holders:
            return text(
                "Waits for {need:.1f} GiB of memory: {free:.1f} GiB are free beside {names}.",
                need=need,
                free=free,
                names=names(self.holders),
            )
        return text(
            "Waits for {need:.1f} GiB of memory: {free:.1f} GiB are free, other programs hold the rest. Close some, or "
            "clone the job with less memory.",
            need=need,
            free=free,
        )


def room(capacity: Capacity, running: Sequence[Holds]) -> Room:
    """What the jobs with a process leave free; GPU and memory of a job that is not seen yet count as its estimate."""
    snapshot = capacity.snapshot
    memory = capacity.memory - sum(job.memory_bytes for job in running)
    available = float(memory)
    if snapshot is not None and snapshot.memory_total:
        seen = {job.id: snapshot.jobs.get(job.id, {}).get("rss", 0.0) for job in running}
        available = snapshot.memory_available - sum(max(0.0, job.memory_bytes - seen[job.id]) for job in running)
    return Room(
        capacity,
        cores=capacity.cpu_slots - sum(capacity.share(job) for job in running),
        memory=memory,
        available=available,
        taken={uuid: job.name for job in running for uuid in job.devices},
        holders=list(running),
    )


def names(jobs: Sequence[Asks]) -> str:
    """The names of a few jobs."""
    return ", ".join(f"“{job.name}”" for job in jobs[:NAMED]) + (" …" if len(jobs) > NAMED else "")


def _too_few(job: Asks, snapshot: Snapshot | None) -> Text:
    if snapshot is not None and snapshot.trouble:
        return text(
            "It asks for {n} GPUs, and this host's can't be read now: {trouble}.",
            n=job.gpus,
            trouble=snapshot.trouble.rstrip("."),
        )
    if snapshot is not None and job.gpu_indexes:
        there = {gpu.index for gpu in snapshot.gpus}
        return text(
            "It asks for GPU {missing}, which this host does not have: clone it with another.",
            missing=_numbers([index for index in job.gpu_indexes if index not in there]),
        )
    return text(
        "It asks for {n} GPUs; this host has {all}: clone it with fewer.",
        n=job.gpus,
        all=len(snapshot.gpus) if snapshot is not None else 0,
    )


def _gpus_missing(
    job: Asks, gpus: Sequence[Gpu], taken: Mapping[str, str], reserved: Mapping[str, str], need: int
) -> Text:
    found: list[Text] = []
    for gpu in gpus:
        if gpu.uuid in reserved:
            found.append(text("GPU {index} is reserved by {who}", index=gpu.index, who=reserved[gpu.uuid]))
        elif gpu.uuid in taken:
            found.append(text("GPU {index} is taken by “{name}”", index=gpu.index, name=taken[gpu.uuid]))
        elif gpu.memory_free < at_least(need, gpu):
            found.append(_held(gpu))
    free = len(gpus) - len(found)
    # what others hold is told first: nobody sees it elsewhere
    found.sort(key=lambda t: t.template.startswith("GPU {index} is taken"))
    if job.gpu_indexes:
        return text(
            "Waits for GPU {chosen} with {need:.1f} GiB free, as it asks for. {obstacles}.",
            chosen=_numbers(job.gpu_indexes),
            need=max(at_least(need, gpu) for gpu in gpus) / GIB,
            obstacles=_listed(found),
        )
    return text(
        "Waits for GPUs: it needs {n} with {need:.1f} GiB free each, {free} of {all} are free. {obstacles}.",
        n=job.gpus,
        need=max(at_least(need, gpu) for gpu in gpus) / GIB,
        free=free,
        all=len(gpus),
        obstacles=_listed(found),
    )


def _numbers(indexes: Sequence[int]) -> str:
    return ", ".join(map(str, indexes))


def _held(gpu: Gpu) -> Text:
    holders = _foreign(gpu)
    free = gpu.memory_free / GIB
    if not holders:
        return text("GPU {index} has {free:.1f} GiB free", index=gpu.index, free=free)
    most = max(holders, key=lambda p: p.memory_bytes or 0)
    who = f"{most.name or 'a program'} ({most.user + ', ' if most.user else ''}pid {most.pid})"
    if most.memory_bytes is None:
        return text("GPU {index} has {free:.1f} GiB free: {who} uses it", index=gpu.index, free=free, who=who)
    return text(
        "GPU {index} has {free:.1f} GiB free: {who} holds {held:.1f} GiB",
        index=gpu.index,
        free=free,
        who=who,
        held=most.memory_bytes / GIB,
    )


def _listed(found: Sequence[Text]) -> Text:
    if not found:
        return text("Others are before it")
    said = found[0]
    for more in found[1:NAMED]:
        said = text("{first}; {then}", first=said, then=more)
    return text("{first}; and {n} more", first=said, n=len(found) - NAMED) if len(found) > NAMED else said


def _foreign(gpu: Gpu) -> list[GpuProcess]:
    return [p for p in gpu.processes if p.job_id is None]


def _foreign_bytes(gpu: Gpu) -> int:
    return sum(p.memory_bytes or 0 for p in _foreign(gpu))

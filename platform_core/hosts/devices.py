"""What a host has and how busy it is, at one moment: the words that sampler, queue, doctor and pages share."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU; `job_id` when it belongs to a job of ours, bytes None where not told."""

    pid: int
    memory_bytes: int | None
    name: str = ""
    user: str = ""
    job_id: str | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU now: memory in bytes, utilization in percent, temperature in °C, power in W; None where not told."""

    uuid: str
    index: int
    name: str
    memory_total: int
    memory_used: int
    utilization: float | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None
    processes: tuple[GpuProcess, ...] = ()

    @property
    def memory_free(self) -> int:
        return max(0, self.memory_total - self.memory_used)


@dataclass(frozen=True)
class Snapshot:
    """A host at `time` (epoch seconds): memory and disk in bytes, rates in bytes/s, `cpu` in percent of all cores.

    `trouble` says why the GPUs can't be read although there is a driver.
    """

    host: str
    time: float
    gpus: tuple[Gpu, ...] = ()
    cores: int = 1
    cpu: float | None = None
    load: float | None = None
    memory_total: int = 0
    memory_available: int = 0
    disk_total: int = 0
    disk_free: int = 0
    disk_read: float | None = None
    disk_write: float | None = None
    net_in: float | None = None
    net_out: float | None = None
    jobs: dict[str, dict[str, float]] = field(default_factory=dict)
    trouble: str = ""

"""Processor, memory, disk, graphics and clock of this machine."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import time
from pathlib import Path

import psutil

from platform_core.clock import now
from platform_core.environment.checks import Check, Disk, gibibytes, value
from platform_core.errors import Text, text
from platform_core.hosts import nvml

MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
LEAST_MEMORY = 2 * 2**30
LEAST_DISK = 2**30
TIGHT_DISK = 5 * 2**30
CLOCK_SLACK = 120.0
NETWORK_FILE_SYSTEMS = (
    "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs",
    "fuse.s3fs", "fuse.rclone", "lustre", "gpfs", "beegfs", "fuse.ceph", "webdav", "davfs",
)  # fmt: skip


def usable_cores() -> int:
    """The cores that this process may use: those of the machine, or fewer where it is bound to some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> Check:
    """The cores that this process may use."""
    usable, quota = usable_cores(), cpu_quota()
    found = text("{n} cores, {model}", n=usable, model=processor_model())
    if quota is not None and quota < usable:
        hint = text("This container gets the time of {quota:.1f} cores: set CPU cores of a job to that.", quota=quota)
        return Check(text("Processor"), found, "warning", None, hint)
    return Check(text("Processor"), found)


def processor_model() -> str:
    """The processor's name, or its architecture where it tells none."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_bytes() -> int:
    """Physical memory of this machine, or what its container gets of it (cgroup v2)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # ValueError: "max", no limit
        total = min(total, int(MEMORY_LIMIT.read_text()))
    return total


def cpu_quota() -> float | None:
    """Cores' worth of time that a container gets (cgroup v2); None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def memory() -> Check:
    """Physical memory, or what a container gets of it."""
    total, free = memory_bytes(), psutil.virtual_memory().available
    enough = total >= LEAST_MEMORY
    return Check(
        text("Memory"),
        text("{total:.1f} GiB, {free:.1f} GiB free", total=total / 2**30, free=min(free, total) / 2**30),
        "ok" if enough else "warning",
        gibibytes(LEAST_MEMORY),
        None
        if enough
        else text("A training of even a small model needs about 1 GiB: close other programs, run one job at a time."),
    )


def disk(home: Path) -> Disk:
    """The disk on which the workspace is, or will be."""
    usage = shutil.disk_usage(existing(home))
    return Disk(usage.total, usage.free)


def disk_space(home: Path) -> Check:
    """Free space for the workspace."""
    found = disk(home)
    free = text("{free:.1f} of {total:.1f} GiB free", free=found.free / 2**30, total=found.total / 2**30)
    if found.free >= TIGHT_DISK:
        return Check(text("Disk"), free, "ok", gibibytes(LEAST_DISK))
    hint = text("Empty the trash, delete old checkpoints, or move the workspace to a larger disk (PLATFORM_HOME).")
    return Check(text("Disk"), free, "warning" if found.free >= LEAST_DISK else "problem", gibibytes(LEAST_DISK), hint)


def existing(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return next((p for p in (path, *path.parents) if p.exists()), Path("/"))


def file_system(home: Path) -> Check:
    """Where the workspace lies: SQLite and the supervisor's lock need a file system with working locks."""
    mounted = [p for p in psutil.disk_partitions(all=True) if existing(home).resolve().is_relative_to(p.mountpoint)]
    kind = max(mounted, key=lambda p: len(p.mountpoint)).fstype.lower() if mounted else ""
    if kind not in NETWORK_FILE_SYSTEMS:
        return Check(text("File system"), value(kind or "?"))
    return Check(
        text("File system"),
        text("{kind}, over the network", kind=kind),
        "warning",
        text("a local disk"),
        text(
            "SQLite can lose data where locks do not work across machines: put the workspace on a local disk "
            "(PLATFORM_HOME), or its database on PostgreSQL (PLATFORM_DATABASE_URL)."
        ),
    )


def graphics() -> list[Check]:
    """NVIDIA GPUs with driver and CUDA, Apple's GPU, or none, which is fine."""
    found = nvidia()
    if found:
        return found
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return [Check(text("GPU"), text("Apple GPU (mps)"))]
    return [Check(text("GPU"), text("none: jobs run on the CPU"))]


def nvidia() -> list[Check]:
    """One check for each NVIDIA GPU, one for the driver, one for what does not answer; empty without a driver."""
    gpus, trouble = nvml.read_gpus()
    driver, cuda = nvml.versions()
    found = [
        Check(
            text("GPU {index}", index=gpu.index),
            text(
                "{model}, {free:.1f} of {total:.1f} GiB free",
                model=gpu.name,
                free=gpu.memory_free / 2**30,
                total=gpu.memory_total / 2**30,
            ),
        )
        for gpu in gpus
    ]
    if trouble:
        hint = text(
            "The driver or a GPU does not answer: the kernel log (dmesg, Xid) tells why. Reload the driver's module "
            "or reboot; after an update of the driver its version and the library's differ until then."
        )
        found.append(Check(text("GPU"), value(trouble), "warning", None, hint))
    if driver:
        told = text("{driver}, CUDA up to {major}.{minor}", driver=driver, major=cuda // 1000, minor=cuda % 1000 // 10)
        found.append(Check(text("NVIDIA driver"), told))
    return found


def clock(home: Path) -> Check:
    """Whether the clock can be right: after this version was made, and not before the workspace's newest change."""
    at = now()
    shown: Text = value(time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at)))
    newest = max((_changed(p) for p in (home, home / "jobs", home / "platform.db", Path(__file__))), default=0.0)
    if newest <= at + CLOCK_SLACK:
        return Check(text("Clock"), shown)
    hint = text(
        "Files here were changed {n:.0f} s in the future of this clock: set it right (timedatectl set-ntp true).",
        n=newest - at,
    )
    return Check(text("Clock"), shown, "warning", None, hint)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

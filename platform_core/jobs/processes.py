"""Who a process is: its pid, when it began and since which boot, so that a reused pid is not taken for the old one."""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """One process for all time: pid, start in clock ticks since boot, and the boot's id."""

    pid: int
    start_ticks: int
    boot_id: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Identity | None:
        """Read back what `as_json` wrote; None for anything else."""
        if not isinstance(data, dict):
            return None
        try:
            return cls(int(data["pid"]), int(data["start_ticks"]), str(data["boot_id"]))
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Row:
    """One line of the process table; `state` is the kernel's letter (Z: dead, only not yet waited for)."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    start_ticks: int


@cache
def boot_id() -> str:
    """What tells this boot of the machine from all others."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"booted {int(psutil.boot_time())}"


def look_up(pid: int) -> Row | None:
    """The line of one process, or None when there is none."""
    if not PROC.joinpath("self/stat").exists():
        return _look_up_elsewhere(pid)
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
        # the command's name stands in parentheses and may itself hold spaces and parentheses
        fields = text[text.rindex(")") + 2 :].split()
        return Row(pid, int(fields[1]), int(fields[2]), int(fields[3]), fields[0], int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def identity(pid: int) -> Identity | None:
    """Who has this pid now; None when nobody, or only the remains of one that ended."""
    row = look_up(pid)
    return None if row is None or row.state in "ZXx" else Identity(pid, row.start_ticks, boot_id())


def me() -> Identity:
    """The identity of this very process."""
    found = identity(os.getpid())
    assert found is not None
    return found


def alive(process: Identity | None) -> bool:
    """Whether that very process still runs (or is suspended)."""
    return process is not None and process.boot_id == boot_id() and identity(process.pid) == process


def table() -> list[Row]:
    """All processes of the machine that can be seen."""
    return [row for pid in psutil.pids() if (row := look_up(pid)) is not None]


def descendants(pid: int, rows: list[Row]) -> set[int]:
    """Children, their children and so on."""
    children: dict[int, list[int]] = {}
    for row in rows:
        children.setdefault(row.parent, []).append(row.pid)
    found: set[int] = set()
    front = [pid]
    while front:
        front = [c for p in front for c in children.get(p, []) if c not in found]
        found.update(front)
    return found


def members(leader: Identity, token: str = "") -> list[int]:
    """What lives of a runner: its session and group, descendants, and processes with `token` in their environment.

    Empty when the leader's pid belongs to somebody else by now, or the machine was booted again.
    """
    if leader.boot_id != boot_id():
        return []
    rows = [row for row in table() if row.state not in "ZXx"]
    holder = look_up(leader.pid)
    ours = holder is None or holder.start_ticks == leader.start_ticks
    found = {row.pid for row in rows if ours and leader.pid in (row.session, row.group, row.pid)}
    for pid in tuple(found):
        found |= descendants(pid, rows)
    if token:
        found |= {row.pid for row in rows if row.pid not in found and has_token(row.pid, token)}
    return sorted(found - {os.getpid()})


def has_token(pid: int, token: str) -> bool:
    """Whether a process was started with `token` (`NAME=value`) in its environment; False when that can't be read."""
    try:
        return token.encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to each; those that are gone or not ours are left out."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def out_of_memory_kills() -> int | None:
    """How often the kernel ended a process of our control group for want of memory; None where it is not counted."""
    try:
        groups = [line.split(":", 2) for line in (PROC / "self/cgroup").read_text().splitlines()]
    except OSError:
        return None
    for _, controllers, group in groups:
        path = ("memory", "memory.oom_control") if controllers == "memory" else ("", "memory.events")
        try:
            text = Path("/sys/fs/cgroup", path[0], group.strip("/"), path[1]).read_text()
            return int(next(line for line in text.splitlines() if line.startswith("oom_kill ")).split()[1])
        except (OSError, StopIteration, ValueError):
            continue
    return None


def in_kernel_log(process: Identity) -> bool:
    """Whether the kernel's log says that it killed the process for want of memory; False when the log can't be read."""
    needle = f"Killed process {process.pid} ".encode()
    since = process.start_ticks / os.sysconf("SC_CLK_TCK") * 1e6
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        while True:
            try:
                record = os.read(log, 8192)
            except BrokenPipeError:  # the ring went round while we read: go on with what is there now
                continue
            if needle in record and float(record.split(b",", 3)[2]) >= since:
                return True
    except (OSError, ValueError, IndexError):
        return False
    finally:
        os.close(log)


def _look_up_elsewhere(pid: int) -> Row | None:
    try:
        process = psutil.Process(pid)
        state = "Z" if process.status() == psutil.STATUS_ZOMBIE else "S"
        ticks = int(process.create_time() * 100)
        return Row(pid, process.ppid(), os.getpgid(pid), os.getsid(pid), state, ticks)
    except (psutil.Error, OSError):
        return None

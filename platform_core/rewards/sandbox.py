"""Where other people's code runs: bubblewrap around a warm worker, or Landlock and seccomp where bubblewrap can't run.

Never as root, no network, an empty environment, files read-only, limits of memory, processes, file size and wall time.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any, Literal

from platform_core.errors import Problem
from platform_core.rewards.worker import Worker, WorkerDied, clean_environment

Protection = Literal["bubblewrap", "landlock", "none"]
WORKER = "platform_core.rewards.sandbox_worker"
PROGRAM = Path(__file__).with_name(f"{WORKER.rpartition('.')[2]}.py")
FIRST_USER, USERS = 61_184, 4_000
"""Accounts that nobody has (systemd gives such numbers out for the time of a service)."""
MEMORY_MIB, PROCESSES, FILE_BYTES, CPU_SECONDS = 1024, 32, 64 << 20, 3600
TMP_BYTES, SHM_BYTES = 64 << 20, 16 << 20
START_SECONDS = 20.0
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/dev/zero")
_numbers = itertools.count(os.getpid())


@cache
def protection() -> Protection:
    """What protects here, found out by starting it once."""
    for name in ("bubblewrap", "landlock"):
        worker = sandbox(using=name)
        try:
            worker.start()
            return name
        except (OSError, WorkerDied, TimeoutError, ValueError, Unconfined):
            continue
        finally:
            worker.kill()
    return "none"


class Unconfined(Exception):
    """The kernel did not take the confinement."""


def sandbox(code: str | None = None, memory_mib: int = MEMORY_MIB, using: Protection | None = None) -> SandboxWorker:
    """A worker that runs `code` and programs under protection; raises Problem where nothing protects."""
    how = using or protection()
    if how == "none":
        raise Problem(
            "Code of rewards can't run here: this machine has neither bubblewrap nor a kernel with Landlock and "
            "seccomp. Install bubblewrap (Debian: apt-get install bubblewrap)."
        )
    return SandboxWorker(how, code, memory_mib)


class SandboxWorker(Worker):
    """A warm worker behind bubblewrap or Landlock; what its code said on loading is in `loaded`."""

    def __init__(self, how: Protection, code: str | None, memory_mib: int) -> None:
        python, site = interpreter()
        limits = {"AS": memory_mib << 20, "FSIZE": FILE_BYTES, "NOFILE": 64, "CORE": 0, "CPU": CPU_SECONDS}
        limits["NPROC"] = PROCESSES if how == "bubblewrap" or os.geteuid() == 0 else _own_processes() + PROCESSES
        readable = [*SYSTEM, str(prefix(python)), *site]
        program = [str(python), "-I", "-S", "-c", PROGRAM.read_text(encoding="utf-8")]
        super().__init__(
            [*bubblewrap(python, site), *program] if how == "bubblewrap" else program,
            clean_environment(),
            user=FIRST_USER + next(_numbers) % USERS if os.geteuid() == 0 else None,
            first={
                "limits": limits,
                "site": site,
                "code": code,
                "confine": readable if how == "landlock" else None,
            },
            start_seconds=START_SECONDS,
        )
        self.loaded: dict[str, Any] = {}

    def ready(self, answer: dict[str, Any]) -> None:
        """Take the first answer; raises Unconfined when the kernel refused."""
        if not answer.get("held"):
            raise Unconfined
        self.loaded = answer


def bubblewrap(python: Path, site: list[str]) -> list[str]:
    """The command in front of the program."""
    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") or "bwrap"
    links = [name for name in ("lib", "lib64") if Path("/usr", name).is_dir()]
    own = [place for place in (str(prefix(python)), *site) if place != "/usr" and not place.startswith("/usr/")]
    return [
        program,
        *("--unshare-all", "--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534"),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "sandbox"),
        *(x for name, value in {**clean_environment(), "HOME": "/tmp"}.items() for x in ("--setenv", name, value)),
        *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
        *(x for name in links for x in ("--symlink", f"usr/{name}", f"/{name}")),
        *(x for place in own for x in ("--ro-bind", place, place)),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm"),
        *("--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"),
    ]


def interpreter() -> tuple[Path, list[str]]:
    """A Python that the sandbox's user may read, with our packages where it may read those, too."""
    ours = Path(os.path.realpath(sys.executable))
    if _open_to_all(ours):
        site = sysconfig.get_path("purelib")
        return ours, [site] if _open_to_all(Path(site)) else []
    for place in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(place).exists() and _open_to_all(Path(os.path.realpath(place))):
            return Path(os.path.realpath(place)), []
    return ours, []


def prefix(python: Path) -> Path:
    """The folder of an interpreter and its library."""
    return python.parent.parent


def _open_to_all(path: Path) -> bool:
    """Whether the user that the sandbox runs as may read a path."""
    if os.geteuid() != 0:
        return os.access(path, os.R_OK)
    try:
        readable = path.stat().st_mode & stat.S_IROTH
        return bool(readable) and all(p.stat().st_mode & stat.S_IXOTH for p in path.parents)
    except OSError:
        return False


def _own_processes() -> int:
    """Processes and threads of this account, which its limit counts."""
    uid, total = os.getuid(), 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                total += len(os.listdir(f"/proc/{entry.name}/task")) if entry.stat().st_uid == uid else 0
            except OSError:
                continue
    return total

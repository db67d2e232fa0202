"""Make `.venv` with everything that is pinned, once; every later run finds out within a blink that nothing is to do.

Runs under whatever Python the user has (syntax of Python 3.6), so that a wrong one gets a sentence. Every step can be
cut at any point: the stamp is written last, and the next run mends what was left half done.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional

import pip_install
import system_packages
from progress import Progress, clock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ((3, 11), (3, 12))
GIB = 1024**3
NEEDED_FOR_ALL = 3 * GIB
NEEDED_FOR_THE_REST = 2 * GIB
NEEDED_TO_RENEW = 1 * GIB
LATHE = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from app.cli import main

sys.exit(main())
"""


def requirement_files(root: Path, tests: bool, verl: bool = False) -> List[Path]:
    """The files that say what to install; the tests run trainings on verl, too."""
    names = ["requirements.txt"] + (["requirements-dev.txt"] if tests else [])
    return [root / name for name in names + (["requirements-verl.txt"] if tests or verl else [])]


def wanted(root: Path) -> str:
    """Fingerprint of what a finished set-up holds: the pins, the place of the repository and this program."""
    digest = hashlib.sha256(str(root).encode())
    for path in [*requirement_files(root, True), root / "constraints.txt", Path(__file__).resolve()]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_stamp(venv: Path) -> dict:
    """What the last finished set-up wrote; empty when there was none."""
    try:
        stamp = json.loads((venv / "lathe-setup.json").read_text())
        return stamp if isinstance(stamp, dict) else {}
    except (OSError, ValueError):
        return {}


def is_ready(root: Path, tests: bool, version: Optional[str], verl: bool = False) -> bool:
    """Whether the packages are all there. `version` ("3.11") also asks for that Python; None takes any."""
    venv = root / ".venv"
    stamp = read_stamp(venv)
    return (
        stamp.get("wanted") == wanted(root)
        and (not tests or stamp.get("tests") is True)
        and (not verl or stamp.get("verl") is True)
        and (version is None or stamp.get("python") == version)
        and os.access(str(venv / "bin" / "python"), os.X_OK)
        and os.access(str(venv / "bin" / "lathe"), os.X_OK)
    )


def check_python(version: tuple, executable: str) -> None:
    """Refuse an interpreter that the pins have no wheels for."""
    if tuple(version[:2]) not in SUPPORTED:
        raise SystemExit(
            "Lathe needs Python 3.11 or 3.12; {} is Python {}.\n"
            "Install one of them and name it: make PYTHON=python3.11 (or PYTHON=/path/to/python3.11), "
            "followed by the target.".format(executable, ".".join(str(part) for part in version[:3]))
        )
    if fcntl is None:
        raise SystemExit("Lathe runs on Linux and macOS; on Windows, run it inside WSL.")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SystemExit(
            "{0} has no venv module, which Debian and Ubuntu ship on its own.\n"
            "Install it and run the same command again: sudo apt-get install python{1}.{2}-venv".format(
                executable, version[0], version[1]
            )
        )


def check_disk(folder: Path, needed: int, free: Optional[int] = None) -> None:
    """Refuse to start an install that cannot end. Sizes in bytes; `free` is measured unless given."""
    free = shutil.disk_usage(str(folder)).free if free is None else free
    if free < needed:
        raise SystemExit(
            "The set-up needs about {:.1f} GiB in {}; {:.1f} GiB are free.\n"
            "Free some space, or move the repository to a larger disk, and run the same command again.".format(
                needed / GIB, folder, free / GIB
            )
        )


def hold_lock(path: Path) -> int:
    """Wait until no other set-up runs in this repository; the file number holds the lock until the process ends.

    The number is inheritable: a pip that outlives a killed set-up keeps the lock until it has ended, too.
    """
    path.parent.mkdir(exist_ok=True)
    number = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(number, True)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(number, 32, 0).decode(errors="replace").strip() or "unknown"
        print(
            "Another set-up (process {}) is at work in this folder; waiting for it to end.".format(holder), flush=True
        )
        fcntl.flock(number, fcntl.LOCK_EX)
    os.ftruncate(number, 0)
    os.pwrite(number, "{}\n".format(os.getpid()).encode(), 0)
    return number


def venv_version(venv: Path) -> Optional[str]:
    """Version ("3.11") of a virtual environment whose Python and pip work; None when it is absent or broken."""
    try:
        run = subprocess.run(
            [str(venv / "bin" / "python"), "-c", "import pip, sys; print('%d.%d' % sys.version_info[:2])"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    if any(pip_install.half_installed(info) for info in venv.glob("lib/python*/site-packages/pip-*.dist-info")):
        return None
    return run.stdout.decode().strip()


def make_venv(venv: Path, log: Path) -> None:
    """Make the virtual environment anew with the running interpreter."""
    with log.open("ab") as out:
        base = getattr(sys, "_base_executable", None) or sys.executable
        run = subprocess.run([base, "-m", "venv", "--clear", str(venv)], stdout=out, stderr=out, check=False)
    if run.returncode:
        raise SystemExit(
            "{} could not make a virtual environment in {} (exit code {}). The reason is at the end of {}.".format(
                base, venv, run.returncode, log
            )
        )


def link_project(root: Path, venv: Path) -> None:
    """Put the repository on the environment's path and `lathe` into its `bin` (no build step, edits count at once)."""
    for site in (venv / "lib").glob("python*/site-packages"):
        (site / "lathe.pth").write_text(str(root) + "\n")
    script = venv / "bin" / "lathe"
    script.write_text(LATHE.format(python=venv / "bin" / "python"))
    script.chmod(0o755)


def set_up(root: Path, tests: bool, system: bool, exact_python: bool, verl: bool = False) -> None:
    """Bring the environment to what the pins say; does only what is missing."""
    version = "{}.{}".format(*sys.version_info[:2])
    asked = version if exact_python else None
    if not is_ready(root, tests, asked, verl):
        check_python(tuple(sys.version_info), sys.executable)
        lock = hold_lock(root / ".setup" / "lock")
        if is_ready(root, tests, asked, verl):
            print("The other set-up has done it.")
        else:
            install_packages(root, tests, asked, lock, verl)
    if system and system_packages.missing():
        hold_lock(root / ".setup" / "lock.system")
        system_packages.install(root / ".setup" / "apt.log")


def install_packages(root: Path, tests: bool, asked: Optional[str], lock: int, verl: bool = False) -> None:
    """Make or mend `.venv`; what an earlier set-up installed for the tests or with verl is kept up to date, too."""
    started = time.monotonic()
    venv, log, stamp = root / ".venv", root / ".setup" / "pip.log", root / ".venv" / "lathe-setup.json"
    log.write_bytes(b"")
    shutil.rmtree(str(log.parent / "tmp"), ignore_errors=True)
    found = venv_version(venv)
    tests = tests or read_stamp(venv).get("tests") is True
    verl = verl or tests or read_stamp(venv).get("verl") is True
    if found not in ["{}.{}".format(*pair) for pair in SUPPORTED] or asked not in (None, found):
        check_disk(root, NEEDED_FOR_ALL)
        print("Setting up Lathe in {} (once; a few minutes, about 2 GiB).".format(venv), flush=True)
        with Progress("Making the virtual environment"):
            make_venv(venv, log)
    else:
        whole = any(venv.glob("lib/python*/site-packages/torch/version.py"))
        check_disk(root, NEEDED_TO_RENEW if whole else NEEDED_FOR_THE_REST)
        print("Bringing {} up to what the requirement files say.".format(venv), flush=True)
        if stamp.exists():
            stamp.unlink()
        pip_install.remove_half_installed(venv)
    pip_install.install(venv, requirement_files(root, tests, verl), root / "constraints.txt", log, lock)
    link_project(root, venv)
    write_stamp(stamp, {"wanted": wanted(root), "tests": tests, "verl": verl, "python": venv_version(venv)})
    print("Set-up done in {}.".format(clock(time.monotonic() - started)), flush=True)


def write_stamp(path: Path, stamp: dict) -> None:
    """Say that the set-up is whole: written to a sibling first, so that it is there completely or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(stamp))
    os.replace(str(part), str(path))


def main(arguments: Optional[List[str]] = None) -> int:
    """Entry of `make`: 0 ready, 1 a problem said in a sentence, 130 interrupted."""
    parser = argparse.ArgumentParser(description="Make .venv with everything that is pinned.")
    with_help = "also what the tests and linters need, with system packages or the Python part only; or also verl"
    parser.add_argument("--with", dest="extra", choices=["tests", "python-tests", "verl"], help=with_help)
    parser.add_argument("--exact-python", action="store_true", help="rebuild .venv unless it has this Python version")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        tests = options.extra in ("tests", "python-tests")
        set_up(ROOT, tests, options.extra == "tests", options.exact_python, options.extra == "verl")
    except KeyboardInterrupt:
        print("\nStopped. What is installed so far stays; run the same command again to go on.", file=sys.stderr)
        return 130
    except OSError as error:
        print("The set-up stopped: {}. Mend that and run the same command again.".format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

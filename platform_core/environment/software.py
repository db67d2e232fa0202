"""Python, the packages and the programs: what is there against what `requirements.txt` pins."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

from platform_core.environment.checks import Check, value
from platform_core.errors import text
from platform_core.root import ROOT

REQUIREMENTS = ROOT / "requirements.txt"
SUPPORTED = ((3, 11), (3, 12))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;#]+)")
SERVER_PATHS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


def python() -> Check:
    """The interpreter that runs this process."""
    fits = sys.version_info[:2] in SUPPORTED
    return Check(
        text("Python"),
        value(f"{platform.python_version()} ({sys.executable})"),
        "ok" if fits else "problem",
        value("3.11 / 3.12"),
        None if fits else text("Install Python 3.11 and name it: make setup PYTHON=python3.11"),
    )


def system() -> Check:
    """The operating system."""
    fits = platform.system() in ("Linux", "Darwin")
    return Check(
        text("System"),
        value(platform.platform(aliased=True, terse=False)),
        "ok" if fits else "problem",
        text("Linux or macOS"),
        None if fits else text("On Windows, run lathe inside WSL."),
    )


def pins(file: Path = REQUIREMENTS) -> dict[str, str]:
    """Package → version that a requirements file pins."""
    found = (PIN.match(line) for line in file.read_text("utf-8").splitlines())
    return {m[1]: m[2] for m in found if m}


def packages(file: Path = REQUIREMENTS) -> list[Check]:
    """One check for all packages as they should be, and one for each that is not."""
    wanted = pins(file)
    checks = [c for name, version in wanted.items() if (c := _package(name, version)) is not None]
    fine = len(wanted) - len(checks)
    summary = text("{fine} of {all} as pinned", fine=fine, all=len(wanted))
    return [Check(text("Packages"), summary, "ok" if fine == len(wanted) else "warning"), *checks]


def installed(name: str) -> str:
    """The version of a package that is there; empty when it is not."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def is_pinned(found: str, wanted: str) -> bool:
    """Whether a version is the wanted one; torch's "2.13.0+cpu" is 2.13.0."""
    return found.partition("+")[0] == wanted


def _package(name: str, wanted: str) -> Check | None:
    found = installed(name)
    if is_pinned(found, wanted):
        return None
    return Check(
        value(name),
        value(found) if found else text("not installed"),
        "warning" if found else "problem",
        value(wanted),
        text("Install what is pinned: make setup"),
    )


def programs() -> list[Check]:
    """Programs outside Python: nothing of them is needed to train on this machine."""
    return [
        _program("Chromium", text("browser tests"), "chromium", "chromium", "chromium-browser", "google-chrome"),
        _program("Bubblewrap", text("a sandbox for code of yours in rewards"), "bubblewrap", "bwrap"),
    ]


def _program(title: str, purpose: object, package: str, *names: str) -> Check:
    path = ":".join((os.environ.get("PATH", os.defpath), *SERVER_PATHS))
    found = next((place for name in names if (place := shutil.which(name, path=path))), None)
    if found is not None:
        return Check(value(title), value(found), "ok", text("for {purpose}", purpose=purpose))
    hint = text(
        "Only needed for {purpose}: sudo apt-get install {package} (or this system's own way).",
        purpose=purpose,
        package=package,
    )
    return Check(value(title), text("not found"), "warning", text("for {purpose}", purpose=purpose), hint)


def lathe_version() -> str:
    """The installed version, or the one in `pyproject.toml` where lathe runs from its folder."""
    try:
        return metadata.version("lathe")
    except metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        return str(project["project"]["version"])

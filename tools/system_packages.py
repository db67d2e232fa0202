"""Programs outside Python that the tests use: found, or installed by apt-get where this user may, or named."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Optional

from progress import Progress

SERVICES = {"openssh-server": "ssh.service", "postgresql": "postgresql.service"}


def _program(*names: str) -> bool:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    return any(shutil.which(name, path=path) for name in names)


def present() -> Dict[str, bool]:
    """For each Debian package that the tests need, whether what it brings is on this machine."""
    return {
        "chromium": _program("chromium", "chromium-browser", "google-chrome"),
        "openssh-server": _program("sshd"),
        "openssh-client": _program("ssh-keygen"),
        "bubblewrap": _program("bwrap"),
        "postgresql": _program("postgres") or any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
        "fonts-noto-cjk": any(
            path.name.startswith(("NotoSansCJK", "NotoSansSC"))
            for folder in (Path("/usr/share/fonts/opentype/noto"), Path("/usr/share/fonts/truetype/noto"),
                           Path("/usr/share/fonts/noto-cjk"), Path("/Library/Fonts"))
            if folder.is_dir() for path in folder.iterdir()
        ),
    }  # fmt: skip


def missing() -> List[str]:
    """The Debian packages that the tests need and this machine lacks."""
    return [package for package, there in present().items() if not there]


def root_prefix() -> Optional[List[str]]:
    """What to put before a command to run it as root without being asked: nothing, sudo, or None when it can't be."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    asked = subprocess.run(["sudo", "-n", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def install(log: Path) -> None:
    """Install what is missing with apt-get; SystemExit names the command when this user may not, or what failed."""
    packages = missing()
    if not packages:
        return
    by_hand = "sudo apt-get install --no-install-recommends " + " ".join(packages)
    if not shutil.which("apt-get"):
        raise SystemExit(
            "The tests also need these programs (Debian's names): {}.\nInstall them with this system's package manager "
            "and run the same command again.".format(", ".join(packages))
        )
    prefix = root_prefix()
    if prefix is None:
        raise SystemExit(
            "The tests also need system packages, which only root may install. Run this, then the same command again:\n"
            "  " + by_hand
        )
    environment = prefix + [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "NEEDRESTART_MODE=a",
        "APT_LISTCHANGES_FRONTEND=none",
    ]
    apt = environment + ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
    with Progress("Updating the list of system packages") as progress, log.open("wb") as out:
        updated = subprocess.run(apt + ["update"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
        progress.show("Installing system packages: " + ", ".join(packages))
        run = subprocess.run(
            apt + ["install", "-y", "--no-install-recommends"] + packages,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False,
        )  # fmt: skip
        _rest(prefix, packages, out)
    left = missing()
    if left:
        last = log.read_text(errors="replace").splitlines()[-5:]
        raise SystemExit(
            "\n".join("  " + line for line in last)
            + "\napt-get could not install {} (exit codes: update {}, install {}); its output is in {}.\n"
            "Install them by hand and run the same command again:\n  {}".format(
                ", ".join(left), updated.returncode, run.returncode, log, by_hand
            )
        )


def _rest(prefix: List[str], packages: List[str], out: object) -> None:
    """The tests start servers of their own: a service that came with a package shall not run on this machine."""
    services = [SERVICES[package] for package in packages if package in SERVICES]
    if services and os.path.isdir("/run/systemd/system"):
        subprocess.run(
            prefix + ["systemctl", "disable", "--now"] + services,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False,  # type: ignore[arg-type]
        )  # fmt: skip

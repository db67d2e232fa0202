"""Run pip so that one sees what it does, and say in a sentence why it failed."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from progress import Progress

GIB = 1024**3
NEEDED_FOR_CUDA = 9 * GIB
ANSI = re.compile(r"\x1b\[[0-9;]*m")
REASONS: List[Tuple[str, str]] = [
    (r"No space left on device|Disk quota exceeded", "The disk is full. Free some space (about 3 GiB are needed)."),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError", "The package index's certificate was refused. Behind a company proxy, name its certificate: PIP_CERT=/path/to/ca.pem."),
    (r"No matching distribution found for (\S+)", "The package index has no {0} for this Python and machine. A mirror may lag behind: ask for another with PIP_INDEX_URL."),
    (r"NewConnectionError|Temporary failure in name resolution|Name or service not known|ReadTimeout|ConnectTimeout|"
     r"Connection reset|Connection aborted|ProxyError|Network is unreachable|HTTP error 5\d\d",
     "The package index could not be reached. Check the network, or name a mirror (PIP_INDEX_URL) or a proxy (HTTPS_PROXY)."),
    (r"Permission denied", "A file could not be written: permission denied. Is the folder yours, and not made with sudo?"),
    (r"THESE PACKAGES DO NOT MATCH THE HASHES", "A download arrived damaged."),
]  # fmt: skip


def reason(log_text: str) -> str:
    """The sentence for the first known cause in pip's output; a general one otherwise."""
    for pattern, sentence in REASONS:
        found = re.search(pattern, log_text)
        if found:
            return sentence.format(*found.groups())
    return "pip stopped with an error that is not a common one; its last lines are above."


def half_installed(info: Path) -> bool:
    """Whether a package's installation was cut: pip writes INSTALLER last, and RECORD names every file with its size."""
    if not (info / "INSTALLER").is_file() or not (info / "RECORD").is_file():
        return True
    with (info / "RECORD").open(newline="", encoding="utf-8") as rows:
        for name, _, size in csv.reader(rows):
            try:
                found = os.stat(str(info.parent / name)).st_size
            except OSError:
                if name.endswith(".pyc"):
                    continue
                return True
            if size and found != int(size):
                return True
    return False


def remove_half_installed(venv: Path) -> List[str]:
    """Forget packages that an interrupted pip left incomplete, so that the next pip installs them again; their names."""
    removed = []
    for info in sorted(venv.glob("lib/python*/site-packages/*.dist-info")):
        if half_installed(info):
            shutil.rmtree(str(info))
            removed.append(info.name.split("-")[0])
    return removed


class Reading:
    """Turns pip's output into one line about where it is."""

    def __init__(self, total: int, site: Path) -> None:
        self.total = total
        self.site = site
        self.seen = 0
        self.text = "Looking up packages"
        self.installing = False
        self.cuda = False
        self.warned = False

    def line(self, line: str) -> None:
        """Take one line of pip's output."""
        words = ANSI.sub("", line).split()
        if len(words) < 2:
            return
        if words[0] == "Collecting":
            self.seen += 1
            name = re.split(r"[<>=!~\[;(]", words[1])[0]
            self.cuda = self.cuda or name.startswith("nvidia-cu")
            self.text = "Fetching {} ({} of about {})".format(name, self.seen, max(self.total, self.seen))
        elif words[0] == "Downloading":
            size = " ".join(words[2:]).strip("()")
            self.text = "Downloading {} {} ({} of about {})".format(
                words[1].rsplit("/", 1)[-1].split("-")[0], size, self.seen, max(self.total, self.seen)
            )
        elif words[0] == "Building":
            self.text = "Building {}".format(
                words[3] if words[1:3] == ["wheel", "for"] and len(words) > 3 else "a package"
            )
        elif words[:2] == ["Installing", "collected"]:
            self.installing = True
            self.total = len(words) - 3 + len(list(self.site.glob("*.dist-info")))

    def now(self) -> str:
        """What to show at this moment."""
        if self.installing:
            return "Installing {} of about {} packages".format(len(list(self.site.glob("*.dist-info"))), self.total)
        return self.text


def run_pip(
    python: Path, arguments: List[str], log: Path, reading: Reading, progress: Progress, lock: Optional[int]
) -> int:
    """Run one `pip install` to its end; output goes to `log` only, so that pip never depends on whoever reads it."""
    environment: Dict[str, str] = {**os.environ, "PIP_USER": "0", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}
    environment.pop("PYTHONPATH", None)
    environment.pop("PIP_TARGET", None)
    environment.pop("PIP_PREFIX", None)
    tmp = log.parent / "tmp"
    tmp.mkdir(exist_ok=True)
    environment["TMPDIR"] = str(tmp)
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
        "--no-compile",
    ]
    with log.open("ab") as out, log.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(0, os.SEEK_END)
        pip = subprocess.Popen(
            command + arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment,
            pass_fds=[lock] if lock is not None else [],
        )  # fmt: skip
        try:
            code = None
            while code is None:
                try:
                    code = pip.wait(timeout=0.3)
                except subprocess.TimeoutExpired:
                    pass
                for line in lines:
                    reading.line(line)
                progress.show(reading.now())
                warn_about_cuda(reading, log.parent, progress)
            return code
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
            shutil.rmtree(str(tmp), ignore_errors=True)


def warn_about_cuda(reading: Reading, folder: Path, progress: Progress, free: Optional[int] = None) -> None:
    """Say once that the index offers torch's CUDA build, and stop when the disk is too small for it."""
    if reading.warned or not reading.cuda:
        return
    reading.warned = True
    free = shutil.disk_usage(str(folder)).free if free is None else free
    if free < NEEDED_FOR_CUDA:
        raise SystemExit(
            "The package index offers the CUDA build of torch, which needs about {:.0f} GiB; {:.1f} GiB are free.\n"
            "For the small CPU build, name an index that has it: make LATHE_TORCH_INDEX=URL (see README), followed by "
            "the target.".format(NEEDED_FOR_CUDA / GIB, free / GIB)
        )
    if not os.path.exists("/proc/driver/nvidia/version"):
        progress.note(
            "Note: the package index offers the CUDA build of torch (several GiB), and this machine has no NVIDIA driver. "
            "It works; LATHE_TORCH_INDEX=URL takes the small CPU build (see README)."
        )


def install(venv: Path, requirements: List[Path], constraints: Path, log: Path, lock: Optional[int]) -> None:
    """Install the requirement files under the constraints with visible progress; SystemExit with the reason on failure."""
    total = sum(1 for line in constraints.read_text().splitlines() if "==" in line)
    site = next((venv / "lib").glob("python*/site-packages"))
    python = venv / "bin" / "python"
    with Progress("Looking up packages") as progress:
        reading = Reading(total, site)
        code = 0
        index = os.environ.get("LATHE_TORCH_INDEX")
        if index:
            pin = next(line for line in requirements[0].read_text().splitlines() if line.startswith("torch=="))
            code = run_pip(python, ["--no-deps", "--index-url", index, pin], log, reading, progress, lock)
            reading = Reading(total, site)
        if not code:
            arguments = [word for path in requirements for word in ("-r", str(path))] + ["-c", str(constraints)]
            code = run_pip(python, arguments, log, reading, progress, lock)
        progress.show("Installed {} packages".format(len(list(site.glob("*.dist-info")))) if not code else "pip failed")
    if code:
        text = log.read_text(encoding="utf-8", errors="replace")
        print("\n".join("  " + line for line in ANSI.sub("", text).splitlines()[-12:]), file=sys.stderr)
        raise SystemExit(
            "The set-up could not install the packages. {}\nThe whole output is in {}. What is installed so far stays; "
            "run the same command again to go on.".format(reason(text), log)
        )
    compile_modules(python, site, log)


def compile_modules(python: Path, site: Path, log: Path) -> None:
    """Compile what is installed on all cores; pip would on one, for most of the time that it installs.

    Files that are no Python of this version are left as they are, as pip leaves them.
    """
    command = [str(python), "-m", "compileall", "-qq", "-j", "0", str(site)]
    with log.open("ab") as out, Progress("Compiling the packages"):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)

"""What an attempt was made of: inputs by their hashes, code and libraries by their versions, the machine.

Written to `attempts/<n>/provenance.json` beside the training, so that hashing a large model delays nothing.
"""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
from pathlib import Path
from threading import Thread

from platform_core.environment.machine import memory_bytes, processor_model
from platform_core.environment.software import installed, lathe_version
from platform_core.files import write_json
from platform_core.jobs.inputs import digest, hashes, packages
from platform_core.jobs.spec import spec_hash
from platform_core.root import ROOT
from runners.job import Run

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy")
GIT_SECONDS = 10.0
log = logging.getLogger("lathe.provenance")


def record_beside(run: Run) -> Thread:
    """Begin to record; join the thread to know that the file is whole."""
    thread = Thread(target=_record, args=(run,), name="provenance", daemon=True)
    thread.start()
    return thread


def provenance(run: Run) -> dict[str, object]:
    """Hashes of all inputs (sha256), versions, seed and machine of one attempt."""
    everything = packages()
    return {
        "attempt": run.attempt,
        "seed": run.spec.seed,
        "spec_sha256": spec_hash(run.kind, run.spec),
        "inputs": {field: hashes(path) for field, path in run.paths.items()},
        "code": {"lathe": lathe_version(), "commit": commit(ROOT), "changed": changed(ROOT)},
        "libraries": {name: version for name in LIBRARIES if (version := installed(name))},
        "packages_sha256": digest(everything),
        "packages": everything,
        "python": platform.python_version(),
        "threads": run.threads,
        "machine": {
            "system": platform.platform(),
            "cpu": processor_model(),
            "cores": os.cpu_count(),
            "memory_bytes": memory_bytes(),
            "gpus": _gpus(),
        },
    }


def commit(root: Path) -> str | None:
    """The git commit that `root` is at, read without running git; None outside a clone."""
    try:
        head = (root / ".git" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        ref = head.removeprefix("ref: ")
        loose = root / ".git" / ref
        if loose.is_file():
            return loose.read_text().strip()
        packed = (root / ".git" / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), None)
    except OSError:
        return None


def changed(root: Path) -> bool | str:
    """Whether tracked files differ from the commit, as git says; "unknown" outside a clone or without git."""
    if commit(root) is None:
        return "unknown"
    # Settings of a repository can name programs to run; these two switch such programs off.
    quiet = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(root)]
    try:
        said = subprocess.run(
            [*quiet, "status", "--porcelain", "--untracked-files=no"],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return bool(said.stdout.strip())


def _record(run: Run) -> None:
    try:
        write_json(run.folder / "attempts" / str(run.attempt) / "provenance.json", provenance(run))
    except OSError as error:
        log.warning("what this attempt was made of could not be written: %s", error)


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]

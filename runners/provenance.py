"""What an attempt was made of: inputs by their hashes, code and libraries by their versions, the machine.

Written to `attempts/<n>/provenance.json` beside the training, so that hashing a large model delays nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
from pathlib import Path
from threading import Thread

from platform_core.environment.machine import memory_bytes, processor_model
from platform_core.environment.software import installed, lathe_version
from platform_core.files import write_json
from platform_core.jobs.spec import spec_hash
from runners.job import Run

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy")
HASHED = (".safetensors", ".json", ".jinja", ".model", ".txt")
log = logging.getLogger("lathe.provenance")


def record_beside(run: Run) -> Thread:
    """Begin to record; join the thread to know that the file is whole."""
    thread = Thread(target=_record, args=(run,), name="provenance", daemon=True)
    thread.start()
    return thread


def provenance(run: Run) -> dict[str, object]:
    """Hashes of all inputs (sha256), versions, seed and machine of one attempt."""
    return {
        "attempt": run.attempt,
        "seed": run.spec.seed,
        "spec_sha256": spec_hash(run.kind, run.spec),
        "inputs": {field: hashes(path) for field, path in run.paths.items()},
        "code": {"lathe": lathe_version(), "commit": commit(ROOT)},
        "libraries": {name: version for name in LIBRARIES if (version := installed(name))},
        "python": platform.python_version(),
        "machine": {
            "system": platform.platform(),
            "cpu": processor_model(),
            "cores": os.cpu_count(),
            "memory_bytes": memory_bytes(),
            "gpus": _gpus(),
        },
    }


def hashes(path: Path) -> dict[str, str]:
    """File name → sha256 of a dataset file, or of the weights, settings and tokenizer files of a folder."""
    if path.is_file():
        return {path.name: _sha256(path)}
    return {p.name: _sha256(p) for p in sorted(path.iterdir()) if p.is_file() and p.suffix in HASHED}


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


def _record(run: Run) -> None:
    try:
        write_json(run.folder / "attempts" / str(run.attempt) / "provenance.json", provenance(run))
    except OSError as error:
        log.warning("what this attempt was made of could not be written: %s", error)


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]

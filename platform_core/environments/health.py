"""What an interpreter has, asked of itself in a short process that imports nothing heavy."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platform_core.clock import now
from platform_core.errors import Text, text

SECONDS = 60.0
FRAME = ("pydantic", "psutil", "numpy", "pyarrow", "orjson", "zstandard", "PyYAML", "regex")
"""What our own part of a runner imports."""
TORCH = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors")
ENGINES: dict[str, tuple[str, ...]] = {
    "hf": (*FRAME, *TORCH),
    "verl": (*FRAME, *TORCH, "verl", "ray", "tensordict", "TransferQueue", "torchdata", "hydra-core", "cachetools"),
}
"""Engine → the packages that it takes."""
EXTRAS = ("vllm", "flash-attn", "bitsandbytes", "deepspeed", "megatron-core")
"""Packages that some settings need."""
VERL = "0.9.1"
"""The version that lathe's changes to verl are made for."""
OLDEST = (3, 11)
PROBE = """
import json, re, sys
from importlib import metadata
names = {re.sub(r"[-_.]+", "-", str(d.metadata["Name"])).lower(): d.version for d in metadata.distributions()}
print(json.dumps({"python": sys.version.split()[0], "packages": names}))
"""


@dataclass(frozen=True)
class Health:
    """Versions by package, and when that was asked; `error` where the interpreter gave no answer."""

    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    checked_at: float = 0.0
    error: Text | None = None

    def version(self, package: str) -> str:
        return self.versions.get(normal(package), "")

    def missing(self, engine: str) -> list[str]:
        """The packages that an engine takes and that are not there."""
        return [name for name in ENGINES.get(engine, ()) if not self.version(name)]

    @property
    def engines(self) -> tuple[str, ...]:
        """What it can run."""
        fits = self.error is None and version_of(self.python) >= OLDEST
        return tuple(name for name in ENGINES if fits and not self.missing(name))

    def as_json(self) -> dict[str, Any]:
        error = None if self.error is None else self.error.as_json()
        return {"python": self.python, "versions": self.versions, "checked_at": self.checked_at, "error": error}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Health:
        error = data.get("error")
        versions = data.get("versions")
        return cls(
            python=str(data.get("python") or ""),
            versions={str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
            checked_at=float(data.get("checked_at") or 0.0),
            error=Text.from_json(error) if error else None,
        )


def ask(python: Path) -> Health:
    """Ask an interpreter; whatever goes wrong is in the answer."""
    try:
        ran = subprocess.run(
            [str(python), "-I", "-c", PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        said = json.loads(ran.stdout)
        return Health(str(said["python"]), kept(said["packages"]), now())
    except subprocess.TimeoutExpired:
        return Health(checked_at=now(), error=text("it gave no answer within {seconds:g} s", seconds=SECONDS))
    except subprocess.CalledProcessError as error:
        lines = [line for line in str(error.stderr).splitlines() if line.strip()]
        said = lines[-1][:200] if lines else f"exit code {error.returncode}"
        return Health(checked_at=now(), error=text("it ended with: {reason}", reason=said))
    except OSError as error:
        reason = error.strerror or str(error)
        return Health(checked_at=now(), error=text("it can't be started: {reason}", reason=reason))
    except (ValueError, KeyError, TypeError):
        return Health(checked_at=now(), error=text("it does not answer as a Python does"))


def kept(packages: Mapping[str, str]) -> dict[str, str]:
    """Of all packages, those that an engine or a setting asks for."""
    wanted = {normal(name) for names in (*ENGINES.values(), EXTRAS) for name in names}
    return {name: str(version) for name, version in sorted(packages.items()) if name in wanted}


def normal(package: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def version_of(python: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", python)[:2])

"""The core stays light: its modules cost little beside the few libraries they need, and nothing heavy comes along."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "streamlit", "transformers", "trl", "datasets", "pandas", "ray", "pyarrow.dataset")
LIBRARIES = ["sqlalchemy", "pydantic", "numpy", "psutil", "yaml"]
PROGRAM = """
import importlib, json, sys, time
names = json.loads(sys.argv[1])
began = time.process_time()
for name in names:
    importlib.import_module(name)
print(json.dumps({"seconds": time.process_time() - began, "modules": sorted(sys.modules)}))
"""


def imported(names: list[str]) -> dict[str, object]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(names)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    result: dict[str, object] = json.loads(run.stdout)
    return result


def modules_of(package: str) -> list[str]:
    found = pkgutil.walk_packages([str(ROOT / package.replace(".", "/"))], f"{package}.")
    return [package, *(m.name for m in found if ".migrations" not in m.name)]


def test_the_whole_core_imports_fast_without_anything_heavy() -> None:
    names = modules_of("platform_core")
    assert "platform_core.jobs.service" in names
    result = imported(names)
    floor = imported(LIBRARIES)["seconds"]
    assert result["seconds"] < 4 * floor, (result["seconds"], floor)
    assert not set(HEAVY) & set(result["modules"])


def test_the_command_line_imports_nothing_heavy() -> None:
    result = imported(["app.cli", *modules_of("app.commands")])
    assert not set(HEAVY) & set(result["modules"])


def test_help_needs_neither_the_database_nor_the_specs() -> None:
    result = imported(["app.cli"])
    assert not {"sqlalchemy", "pydantic", "yaml", "numpy"} & set(result["modules"])

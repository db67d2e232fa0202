"""The core stays light: all of it imports in under a second, and nothing heavy comes along."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "streamlit", "transformers", "trl", "datasets", "pandas", "ray", "pyarrow.dataset")
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


def test_the_whole_core_imports_in_under_a_second_without_anything_heavy() -> None:
    names = modules_of("platform_core")
    assert "platform_core.jobs.service" in names
    result = imported(names)
    assert result["seconds"] < 1.0, result["seconds"]
    assert not set(HEAVY) & set(result["modules"])


def test_the_command_line_imports_nothing_heavy() -> None:
    result = imported(["app.cli", *modules_of("app.commands")])
    assert not set(HEAVY) & set(result["modules"])


def test_help_needs_neither_the_database_nor_the_specs() -> None:
    result = imported(["app.cli"])
    assert not {"sqlalchemy", "pydantic", "yaml", "numpy"} & set(result["modules"])

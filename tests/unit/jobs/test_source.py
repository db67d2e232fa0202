"""The part of the source that an export takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform_core.jobs.source import closure, distributions, file_of
from platform_core.root import ROOT


def test_imports_names_in_strings_and_listed_folders_come_along(tmp_path: Path) -> None:
    files = {
        "runners/__init__.py": "",
        "runners/start.py": "import os, numpy as np\nfrom platform_core import kinds\nPROGRAM = 'runners.worker'\n",
        "runners/worker.py": "import yaml\n",
        "runners/unused.py": "import torch\n",
        "platform_core/__init__.py": "",
        "platform_core/kinds/__init__.py": "from platform_core.kinds.registry import all\n",
        "platform_core/kinds/registry.py": "all = declared_in(__package__, 'KIND', object)\n",
        "platform_core/kinds/one.py": "",
        "platform_core/kinds/table.csv": "1,2\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found, others = closure(["runners.start"], tmp_path)
    assert {str(f.relative_to(tmp_path)) for f in found} == files.keys() - {"runners/unused.py"}
    assert others == {"numpy", "yaml"}


def test_the_engine_comes_without_pages_and_database() -> None:
    found, others = closure(["runners.programs.train", "runners.engines.hf.sft"])
    rooms = {f.relative_to(ROOT).parts[0] for f in found}
    assert rooms == {"platform_core", "runners"}
    assert not others & {"sqlalchemy", "streamlit", "plotly"}
    assert {"torch", "trl", "peft"} <= set(distributions(others))


@pytest.mark.parametrize("name", ["os", "platform_core.nothing", "runners.../x", "runners.exported.train.more"])
def test_what_is_no_module_of_ours_has_no_file(name: str) -> None:
    assert file_of(name) is None

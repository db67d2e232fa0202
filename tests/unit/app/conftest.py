"""A scratch workspace with real data, and pages opened through the real shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from platform_core.datasets import service as datasets
from platform_core.workspace.service import Workspace, open_workspace

ROOT = Path(__file__).resolve().parents[3]
Open = Callable[..., AppTest]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that the pages use."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("PLATFORM_HOME", str(folder))
    monkeypatch.delenv("PLATFORM_DATABASE_URL", raising=False)
    return folder


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return open_workspace(home, 5.0)


@pytest.fixture
def sums(workspace: Workspace) -> str:
    """A dataset of prompts with responses, looked into as the page does after an upload."""
    lines = [json.dumps({"prompt": f"{a}+{a}=", "response": str(2 * a)}) for a in range(40)]
    datasets.receive(workspace.home, "sums.jsonl", [("\n".join(lines) + "\n").encode()])
    datasets.report(workspace.home, "sums.jsonl")
    return "sums.jsonl"


@pytest.fixture
def model(workspace: Workspace) -> str:
    """A model folder as the library reads it: config, tokenizer and one tensor in safetensors."""
    folder = workspace.models / "tiny"
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "vocab_size": 300, "max_position_embeddings": 128}
    (folder / "config.json").write_text(json.dumps(config))
    vocabulary = {f"t{i}": i for i in range(300)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": []}))
    tensor = {"model.layers.0.mlp.up_proj.weight": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]}}
    header = json.dumps(tensor).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(128))
    return "tiny"


@pytest.fixture
def opened(home: Path) -> Open:
    """Open a page as a person does: through the shell, with its address."""

    def open_page(page: str, **query: str) -> AppTest:
        at = AppTest.from_file(ROOT / "app" / "shell.py", default_timeout=60)
        at.run()
        for name, value in query.items():
            at.query_params[name] = value
        return at.switch_page(str(ROOT / "pages" / f"{page}.py")).run()

    return open_page

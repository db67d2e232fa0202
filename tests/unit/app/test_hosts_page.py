"""The Devices page without a GPU: honest about it, and useful."""

from __future__ import annotations

from typing import Any

from platform_core.workspace.service import Workspace
from runners.sampler import Sampler


def test_without_a_gpu_the_machine_itself_is_shown(workspace: Workspace, opened: Any) -> None:
    Sampler(workspace).sample()
    page = opened("hosts")
    assert not page.exception
    assert not page.error
    assert any("No NVIDIA GPU" in caption.value for caption in page.caption)
    assert any("GiB of" in said.value or "GiB" in said.value for said in page.markdown)

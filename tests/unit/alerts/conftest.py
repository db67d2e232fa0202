"""A workspace with a running job, and findings about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform_core.jobs.store import Job
from platform_core.workspace.service import Workspace, open_workspace
from tests.unit.app.runs import add_job


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "workspace"))
    monkeypatch.delenv("PLATFORM_DATABASE_URL", raising=False)
    return open_workspace(tmp_path / "workspace", 5.0)


@pytest.fixture
def job(workspace: Workspace) -> Job:
    return add_job(workspace, "running", steps=40)

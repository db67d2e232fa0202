"""A job runs with the interpreter that it names, and does not begin when that one is gone."""

from __future__ import annotations

import sys
from pathlib import Path

from platform_core.environments import service as environments
from platform_core.jobs import service

from .stage import Stage, assert_true


def test_a_job_runs_with_the_interpreter_that_it_names(stage: Stage, tmp_path: Path) -> None:
    python = tmp_path / "other" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho ran >> {tmp_path}/used\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    environments.add(stage.home, "other", str(python))
    (tmp_path / "used").unlink()
    named, plain = stage.create("named", steps=2, environment="other"), stage.create("plain", steps=2)
    stage.start_supervisor()
    job = stage.wait_for(named)
    assert job.state == "completed", stage.log()
    assert_true(stage, job)
    (attempt,), _ = service.history(stage.workspace, job.id)
    assert attempt.interpreter == str(python)
    assert attempt.command[-2:] == ["--interpreter", str(python)]
    assert (tmp_path / "used").read_text() == "ran\n"
    assert stage.wait_for(plain).state == "completed"
    (attempt,), _ = service.history(stage.workspace, plain.id)
    assert attempt.interpreter == sys.executable


def test_a_job_whose_environment_is_gone_says_so(stage: Stage) -> None:
    environments.add(stage.home, "gone", sys.executable)
    job = stage.create(steps=2, environment="gone")
    environments.remove(stage.home, "gone")
    stage.start_supervisor()
    ended = stage.wait_for(job)
    assert ended.state == "failed"
    assert "There is no environment called “gone”" in str(ended.reason)

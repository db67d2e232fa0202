"""verl in the form and in `lathe`: its command before the start, a misspelt key beside its field; environments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app.cli import main
from platform_core.environments import service as environments
from platform_core.jobs import service as jobs
from platform_core.workspace.service import Workspace
from tests.unit.app.test_new_job import unescaped

Open = Callable[..., AppTest]


@pytest.mark.slow
def test_the_form_shows_verls_command_and_names_a_misspelt_key(
    opened: Open, workspace: Workspace, model: str, sums: str
) -> None:
    at = opened("new_job", kind="sft")
    assert not any(tab.label == "verl" for tab in at.tabs)
    at.button_group(key="sft.engine").set_value("verl").run()
    assert not at.exception
    shown = next(code.value for code in at.code if "main_sft" in code.value)
    assert "optim.lr=2e-05" in shown
    assert "trainer.total_training_steps=<steps>" in shown
    at.text_input(key="sft.verl_overrides").set_value("trainer.save_frq=3").run()
    assert "near it are trainer.save_freq" in unescaped(at)
    assert at.button(key="start").disabled
    at.text_input(key="sft.verl_overrides").set_value("trainer.balance_batch=False").run()
    at.button(key="create").click().run()
    (job,) = jobs.list_jobs(workspace)
    assert (job.engine, job.spec["engine"]) == ("verl", "verl")


@pytest.mark.slow
def test_a_dry_run_prints_the_command(
    workspace: Workspace, model: str, sums: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train", "sft", "--model", model, "--dataset", sums, "--engine", "verl", "--dry-run"]
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["engine"] == "verl"
    assert "trainer.device=cpu" in document["command"]
    assert main(asked) == 0
    assert "#   trainer.device=cpu" in capsys.readouterr().out
    assert main([*asked, "--environment", "none-such", "--max-steps", "2"]) == 1
    assert "known are base" in capsys.readouterr().err


def test_environments_are_added_and_listed(
    opened: Open, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["environments", "add", "gpu", sys.executable]) == 0
    assert main(["environments", "list", "--json"]) == 0
    assert '"name": "gpu"' in capsys.readouterr().out
    assert [e.name for e in environments.environments(workspace.home)] == ["base", "gpu"]
    at = opened("environment")
    assert not at.exception
    assert any(h.value == "Environments" for h in at.subheader)
    at = opened("new_job", kind="sft")
    assert "gpu" in " ".join(at.selectbox(key="sft.environment").options)

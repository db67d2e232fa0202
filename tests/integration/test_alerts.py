"""From a real training that goes wrong to its alert, its messages and the new job with the fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_core.alerts import service as alerts
from platform_core.files import read_json
from platform_core.jobs import service as jobs
from platform_core.jobs.store import Job
from platform_core.options import service as options
from tests.integration.supervisor.stage import Stage
from tests.rows import write_rows
from tests.unit.alerts.servers import http_server, smtp_server, status


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "home", {"LATHE_WARM": "all", "HF_HUB_OFFLINE": "1"})
    yield made
    made.close()


def trained(stage: Stage) -> tuple[Job, str]:
    """A tiny model that knows its rows, and the dataset of prompts that goes with them."""
    place = stage.workspace.datasets
    rows = [{"text": f"{i % 10}+1={i % 10 + 1}"} for i in range(200)]
    write_rows(place / "rows.jsonl", rows)
    pairs = [{"prompt": f"{i % 10}+1=", "response": str(i % 10 + 1)} for i in range(200)]
    write_rows(place / "pairs.jsonl", pairs)
    words = jobs.create(
        stage.workspace, "tokenizer", {"dataset": "rows.jsonl", "vocab_size": 300, "cpu_slots": 1}, start=True
    )
    settings = {
        "dataset": "rows.jsonl",
        "tokenizer": f"job:{words.id}",
        "max_steps": 150,
        "batch_size": 4,
        "cpu_slots": 1,
    }
    model = jobs.create(stage.workspace, "pretrain", settings, start=True)
    stage.wait_for(model, "completed", seconds=120)
    return model, "pairs.jsonl"


@pytest.mark.thorough
def test_an_absurd_learning_rate_is_found_told_once_and_mended_in_one_step(stage: Stage) -> None:
    with smtp_server() as post, http_server(status(200)) as hook:
        chosen = {
            "webhook_url": f"http://127.0.0.1:{hook.port}/",
            "webhook_private": True,
            "mail_to": "ann@example.org",
            "mail_from": "lathe@example.org",
            "smtp_host": "127.0.0.1",
            "smtp_port": post.port,
            "smtp_security": "none",
        }
        options.change(stage.workspace, chosen, "ann")
        supervisor = stage.start_supervisor()
        model, pairs = trained(stage)
        settings = {
            "model": f"job:{model.id}",
            "dataset": pairs,
            "learning_rate": 1.0,
            "max_grad_norm": 0,
            "max_steps": 60,
            "batch_size": 2,
            "logging_steps": 1,
            "cpu_slots": 1,
        }
        bad = jobs.create(stage.workspace, "sft", settings, name="Sums", start=True)
        stage.until(lambda: told(stage, bad), 120)
        alert = told(stage, bad)[0]
        stage.until(lambda: alerts.get(stage.workspace, alert.id).sent_at is not None, 30)
        stage.wait_for(bad)
        supervisor.terminate()
        supervisor.wait(20)
        stage.start_supervisor()

        made = alerts.retry(stage.workspace, alerts.best_fix(stage.workspace, bad.id).id)
        assert made.spec["learning_rate"] < 0.2
        assert made.name.startswith("Sums (learning rate ")
        stage.wait_for(made, "completed", seconds=120)
        stage.until(lambda: (read_json(stage.home / "watchdog.json") or {}).get("done"), 30)
        wrong = [a for a in alerts.list_alerts(stage.workspace, job_id=made.id) if a.rule == "nan_loss"]
        assert not wrong
        rules = [(a.job_id, a.rule, a.attempt) for a in alerts.list_alerts(stage.workspace)]
        assert len(rules) == len(set(rules)), "nothing is told twice, however many supervisors there were"
        sent = [a.id for a in alerts.list_alerts(stage.workspace) if a.sent_at is not None]
        assert sorted(json.loads(body)["id"] for _, body in hook.requests) == sorted(sent)
        assert len(post.messages) == len(sent)


def told(stage: Stage, job: Job) -> list[alerts.Alert]:
    found = alerts.list_alerts(stage.workspace, job_id=job.id)
    return [a for a in found if a.fix is not None and "learning_rate" in a.fix.changes]


@pytest.mark.slow
def test_nan_is_found_although_no_supervisor_lived_when_the_training_ended(stage: Stage) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    supervisor = stage.start_supervisor()
    model, pairs = trained(stage)
    weights = stage.workspace.job_folder(model.id) / "output" / "model.safetensors"
    broken = load_file(weights)
    broken["model.norm.weight"] = np.full_like(broken["model.norm.weight"], np.nan)
    save_file(broken, weights, metadata={"format": "pt"})
    settings = {"model": f"job:{model.id}", "dataset": pairs, "max_steps": 20, "batch_size": 2, "cpu_slots": 1}
    job = jobs.create(stage.workspace, "sft", settings, name="Broken", start=True)
    stage.processes(job)
    supervisor.kill()
    supervisor.wait()
    stage.until(lambda: (stage.workspace.job_folder(job.id) / "attempts" / "1" / "exit.json").exists(), 120)
    assert not alerts.list_alerts(stage.workspace, job_id=job.id)
    stage.start_supervisor()
    stage.wait_for(job, "failed")
    stage.until(lambda: alerts.list_alerts(stage.workspace, job_id=job.id), 30)
    (alert,) = alerts.list_alerts(stage.workspace, job_id=job.id)
    assert (alert.rule, alert.level, alert.open) == ("nan_loss", "critical", True)
    assert alert.fix is not None
    assert alert.fix.changes["learning_rate"] < 2e-5

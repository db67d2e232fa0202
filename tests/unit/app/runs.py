"""Jobs as a supervisor and runners would have left them: rows, logs and metrics files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from platform_core.clock import now
from platform_core.database.engine import writing
from platform_core.errors import Text
from platform_core.ids import new_id
from platform_core.jobs import service as jobs
from platform_core.jobs import store
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import State
from platform_core.jobs.store import Job
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import Workspace

SPEC = {"model": "tiny", "dataset": "sums.jsonl", "max_steps": 100, "logging_steps": 1}


def add_job(
    workspace: Workspace,
    state: State = "running",
    *,
    name: str = "A run",
    kind: str = "sft",
    steps: int = 0,
    total: int = 100,
    reason: Text | None = None,
    group: str | None = None,
    needs: Sequence[str] = (),
    result: dict[str, Any] | None = None,
) -> Job:
    """A row in the given state, with one attempt behind it unless it never began."""
    at, began = now(), state not in ("pending", "queued")
    row: dict[str, Any] = {
        "id": new_id(), "name": name, "kind": kind, "engine": "hf", "spec": SPEC, "spec_hash": "0" * 64, "state": state,
        "since": at - 5, "owner": "ann", "priority": 0, "cpu_slots": 1, "attempt": int(began), "created_at": at - 60,
        "started_at": at - 30 if began else None, "group_name": group, "result": result,
        "reason": None if reason is None else reason.as_json(),
        "progress": {"step": steps, "total_steps": total, "updated_at": at} if steps else None,
        "latest": {"loss": 0.5} if steps else None, "sparkline": [3.0, 2.0, 1.0] if steps else None,
    }  # fmt: skip
    with writing(workspace.engine) as connection:
        store.insert_job(connection, row, needs, "ann")
        if began:
            store.add_attempt(
                connection, job_id=row["id"], number=1, host="here", interpreter="/usr/bin/python3",
                command=["python", "-m", "runners.keeper"], threads=1, launched_at=at - 30, pid=4711,
            )  # fmt: skip
    workspace.job_folder(row["id"]).mkdir(parents=True)
    return jobs.get(workspace, row["id"])


def write_log(workspace: Workspace, job: Job, text: str) -> None:
    """The log of the job's first attempt."""
    path = workspace.job_folder(job.id) / "attempts" / "1" / "log.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def write_metrics(workspace: Workspace, job: Job, steps: int, **more: float) -> None:
    """A metrics file with a falling loss, layer norms, a sample and progress."""
    with Writer(metrics_file(workspace, job)) as writer:
        for step in range(1, steps + 1):
            writer.metrics(step, {"loss": 4 / step, "grad_norm": 1.0, "tokens_per_second": 5000.0, **more})
            writer.vector("grad_norm", step, ["embed", "layer.0"], [0.1, step / 10])
        writer.sample(steps, prompt="1+1=", completion="<img src=x onerror=alert(1)>", reference="2", reward=0.0)
        writer.progress(step=steps, total_steps=100, phase="running", epoch=0.5)

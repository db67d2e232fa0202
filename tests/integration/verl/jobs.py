"""Jobs on verl at the smallest size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, Job, make_job

VERL: dict[str, Any] = {**TRAINING, "engine": "verl", "device": "cpu"}
SFT: dict[str, Any] = {**VERL, "batch_size": 32, "max_length": 32}
ROLLOUT: dict[str, Any] = {
    **VERL, "batch_size": 16, "num_generations": 4, "max_completion_length": 6, "answer_extraction": "marker",
}  # fmt: skip


def verl_job(folder: Path, kind: str, spec: dict[str, object], pause_at: int | None = None, **paths: Path) -> Job:
    """A job folder whose first attempt pauses by itself after `pause_at` steps."""
    job = make_job(folder, kind, spec, **paths)
    if pause_at is not None:
        change_run(job, 1, pause_at=pause_at)
    return job


def next_attempt(job: Job, **spec: object) -> None:
    """The attempt after the first, without its pause; `spec`: settings that have changed."""
    folder = job.folder / "attempts" / "2"
    folder.mkdir()
    run = json.loads((job.folder / "attempts/1/run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run))
    change_run(job, 2, attempt=2, pause_at=None, spec={**run["spec"], **spec})


def change_run(job: Job, number: int, **more: object) -> None:
    path = job.folder / "attempts" / str(number) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


def curve(job: Job, name: str) -> dict[int, float]:
    """Step → value of a metric."""
    with Reader(job.folder / "metrics.sqlite") as reader:
        steps, values = reader.points(name)[:2]
    return dict(zip(steps.tolist(), values.tolist(), strict=True))


def events(job: Job) -> list[str]:
    with Reader(job.folder / "metrics.sqlite") as reader:
        return [event.kind for event in reader.events()]


def checkpoints(job: Job) -> list[str]:
    return sorted(p.name for p in (job.folder / "checkpoints").iterdir())

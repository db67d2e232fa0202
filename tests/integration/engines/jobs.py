"""Jobs of the hf engine at the smallest size that still learns, run in forked children of a warm parent."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runners.programs
from platform_core.algorithms.registry import algorithm
from platform_core.errors import Text
from platform_core.files import read_json
from platform_core.jobs.folder import write_run
from platform_core.jobs.store import Job as Row
from platform_core.workspace.service import Workspace

SIZES = {"hidden_size": 16, "layers": 1, "heads": 2, "kv_heads": 2, "intermediate_size": 32, "context_length": 64}
TRAINING = {"cpu_slots": 1, "learning_rate": 1e-2, "seed": 3}


@dataclass
class Job:
    """A job folder with one attempt to run."""

    folder: Path
    kind: str

    @property
    def result(self) -> dict[str, object]:
        found = read_json(self.folder / "result.json")
        assert found is not None
        return found

    @property
    def metrics(self) -> dict[str, object]:
        found = self.result["metrics"]
        assert isinstance(found, dict)
        return found

    @property
    def sentence(self) -> str:
        error = self.result["error"]
        assert isinstance(error, dict)
        return str(Text.from_json(error))

    @property
    def weights(self) -> bytes:
        (file,) = (self.folder / "output").glob("*.safetensors")
        return file.read_bytes()

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


def make_job(folder: Path, kind: str, spec: dict[str, object], **paths: Path) -> Job:
    """A job folder as the supervisor leaves it before it starts the runner."""
    resolved = algorithm(kind).spec.model_validate(spec | {name: str(path) for name, path in paths.items()})
    attempt = folder / "attempts" / "1"
    attempt.mkdir(parents=True)
    run = {"id": "0" * 12, "kind": kind, "engine": spec.get("engine", "hf"), "attempt": 1, "threads": 1}
    run |= {"spec": resolved.model_dump(mode="json"), "paths": {name: str(path) for name, path in paths.items()}}
    (attempt / "run.json").write_text(json.dumps(run))
    return Job(folder, kind)


def forked(job: Job, first: Callable[[], object] | None = None) -> int:
    """Run the job's program in a forked child, after `first`; the exit code, negative for a signal."""
    runners.programs.preload()

    def child() -> None:
        log = os.open(job.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stderr = os.fdopen(2, "w", buffering=1)
        if first is not None:
            first()
        program = sys.modules[f"runners.programs.{algorithm(job.kind).program}"]
        os._exit(program.main(job.folder))

    __import__(f"runners.programs.{algorithm(job.kind).program}")
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def run_first(workspace: Workspace, row: Row) -> Job:
    """Run the first attempt of a job that has a row, as the supervisor would."""
    write_run(workspace, row, 1, 1)
    job = Job(workspace.job_folder(row.id), row.kind)
    assert forked(job) == 0, job.log
    return job


def at_step(step: int, act: Callable[[], object]) -> Callable[[], None]:
    """In a runner: do something at the end of `step`."""

    def first() -> None:
        from runners.engines.hf.reporting import Reporting

        told = Reporting.on_step_end

        def on_step_end(self: Reporting, args: Any, state: Any, control: Any, **more: Any) -> None:
            told(self, args, state, control, **more)
            if state.global_step == step:
                act()

        Reporting.on_step_end = on_step_end

    return first


def ask_at(step: int, number: int) -> Callable[[], None]:
    """In a runner: send itself the signal of a wish when it reports `step`."""
    return at_step(step, lambda: signal.raise_signal(number))

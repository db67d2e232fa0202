"""Prove exact resume: `python -m runners.programs.verify <job folder>`.

Runs the first steps of a training straight, then again with a pause in the middle: three processes of the training's
own program, paused by the signal that pauses any training. Then all metrics and the two last checkpoints are compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.algorithms.verify import VerifySpec
from platform_core.errors import Problem, Text
from platform_core.files import read_json, write_json
from platform_core.metrics.reader import Reader
from runners.job import Run, Stopped, load_run, run_job
from runners.launchers.environment import THREADS
from runners.report import Report

STRAIGHT, PAUSED = "straight", "paused"
POLL_SECONDS = 0.2
PATIENCE = 30.0
NO_CHECKPOINTS = {"save_every": None, "save_every_minutes": None, "keep_best": None, "keep_checkpoints": 1}
NO_CHECKPOINTS |= {"final_model": "last"}  # the best of them is another model


def work(run: Run, report: Report) -> dict[str, object]:
    """Run the training twice and compare; the numbers of the verdict."""
    spec = run.spec
    assert isinstance(spec, VerifySpec)
    target = load_run(run.folder.parent / spec.job)
    try:
        last = train(run, report, target, STRAIGHT, 1, spec.steps, 0)
        middle = train(run, report, target, PAUSED, 1, spec.steps // 2, spec.steps)
        if middle >= last:
            raise Problem(
                "With {steps} steps there is no step to pause at before the last one: ask for more.",
                fields=("steps",),
                steps=spec.steps,
            )
        train(run, report, target, PAUSED, 2, spec.steps, spec.steps)
        report.phase("comparing")
        from runners.programs.compare import compare

        found = compare(run.folder / STRAIGHT, run.folder / PAUSED, last)
    finally:
        for name in (STRAIGHT, PAUSED):
            shutil.rmtree(run.folder / name, ignore_errors=True)
    same = not found.difference
    said = f"{found.points} points and {found.tensors} tensors of {last} steps, resumed at step {middle}: "
    report.event("verdict", said + ("all identical" if same else found.difference), level="info" if same else "error")
    verdict: dict[str, object] = {"identical": int(same), "steps": last, "resumed_at": middle}
    verdict |= {"points": found.points, "tensors": found.tensors}
    return verdict if same else {**verdict, "difference": found.difference}


def train(run: Run, report: Report, target: Run, name: str, attempt: int, pause_at: int, before: int) -> int:
    """One process of the training up to a pause; the step at which it ended. Raises Problem when it fails."""
    folder = run.folder / name
    spec = {**target.spec.model_dump(mode="json"), **NO_CHECKPOINTS}
    document: dict[str, Any] = {"id": run.id, "kind": target.kind, "engine": target.engine, "attempt": attempt}
    document |= {"spec": spec, "paths": {field: str(path) for field, path in target.paths.items()}}
    document |= {"threads": target.threads, "pause_at": pause_at}
    write_json(folder / "attempts" / str(attempt) / "run.json", document)
    report.phase("running straight" if name == STRAIGHT else "running to the pause" if attempt == 1 else "resuming")
    program = f"runners.programs.{algorithm(target.kind).program}"
    environment = {**os.environ, **{thread: str(target.threads) for thread in THREADS}}
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", program, str(folder)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    while child.poll() is None:
        time.sleep(POLL_SECONDS)
        tell_progress(report, folder, before, 2 * pause_at if name == STRAIGHT else 2 * before)
        if report.wish is not None:
            end(child)
            raise Stopped
    result = read_json(folder / "result.json") or {}
    if child.returncode or result.get("attempt") != attempt:
        error = result.get("error")
        raise Problem(
            "A run of the proof failed: {reason}",
            reason=Text.from_json(error) if isinstance(error, dict) else f"exit code {child.returncode}",
        )
    return int(str(result["step"]))


def tell_progress(report: Report, folder: Path, before: int, total: int) -> None:
    """Pass on how far the process is."""
    try:
        with Reader(folder / "metrics.sqlite") as reader:
            step = int(str(reader.progress().get("step") or 0))
    except Problem:  # it is just being made
        return
    report.writer.progress(step=before + step, total_steps=total)


def end(child: subprocess.Popen[bytes]) -> None:
    """End the process, by force where it must be."""
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main(folder: Path) -> int:
    """Run the job in `folder`; the exit code is 0 unless it failed: a difference is a result."""
    return run_job(folder, work)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

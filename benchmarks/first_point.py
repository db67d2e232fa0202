"""From Start to the first point: how long until a new job's first loss can be read, warm and cold.

Makes a workspace of its own, starts a supervisor, trains a tiny base model once, then queues SFT jobs as a click
on the page does, and waits for the first `loss` in the metrics file, as the monitor does. Prints wall seconds of
each round with the warm parent and without it, and their ratio. Run it on an idle machine.

    python benchmarks/first_point.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from platform_core.jobs import service, supervision
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ENDED
from platform_core.metrics.reader import Reader
from platform_core.workspace.service import Workspace, open_workspace

LIMIT_SECONDS = 180.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_workspace(Path(folder))
        texts = [{"text": f"{i} plus {i} equals {2 * i}."} for i in range(500)]
        sums = [{"prompt": f"{i}+{i}=", "completion": str(2 * i)} for i in range(500)]
        for name, rows in (("texts", texts), ("sums", sums)):
            path = workspace.datasets / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        supervision.ensure(workspace.home)
        base = base_model(workspace)
        warm = [first_point(workspace, base) for _ in range(rounds)]
        supervision.stop(workspace.home)
        os.environ["LATHE_WARM"] = "0"
        supervision.ensure(workspace.home)
        cold = [first_point(workspace, base) for _ in range(rounds)]
        supervision.stop(workspace.home)
    print(f"start to first loss, warm parent: {said(warm)}")
    print(f"start to first loss, cold start:  {said(cold)}")
    print(f"warm / cold: {statistics.median(warm) / statistics.median(cold):.2f}")


def base_model(workspace: Workspace) -> str:
    """Reference of a freshly pretrained tiny model."""
    tokenizer = service.create(workspace, "tokenizer", {"dataset": "texts.jsonl"}, start=True)
    values = {"dataset": "texts.jsonl", "tokenizer": f"job:{tokenizer.id}", "max_steps": 2}
    base = service.create(workspace, "pretrain", values, start=True)
    wait(lambda: service.get(workspace, base.id).state in ENDED)
    assert service.get(workspace, base.id).state == "completed", service.get(workspace, base.id).reason
    return f"job:{base.id}"


def first_point(workspace: Workspace, model: str) -> float:
    """Seconds from the click to the first loss that a reader sees."""
    began = time.perf_counter()
    values = {"model": model, "dataset": "sums.jsonl", "max_steps": 5, "max_length": 32}
    job = service.create(workspace, "sft", values, start=True)
    file = metrics_file(workspace, job)

    def has_loss() -> bool:
        with Reader(file) as reader:
            return "loss" in reader.latest()

    wait(has_loss)
    took = time.perf_counter() - began
    wait(lambda: service.get(workspace, job.id).state in ENDED)
    return took


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not done():
        assert time.monotonic() < deadline, "nothing happened for three minutes"
        time.sleep(0.05)


def said(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.1f} s (of {', '.join(f'{s:.1f}' for s in seconds)})"


if __name__ == "__main__":
    main()

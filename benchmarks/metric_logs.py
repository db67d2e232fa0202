"""What takes part in the metric store's ingest benchmark: the store, what is to be compared with it, and their data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from platform_core.metrics.writer import Writer

KEYS = 20


class Log(Protocol):
    """What takes part in the ingest benchmark."""

    def log(self, step: int, values: dict[str, float]) -> None: ...
    def close(self) -> None: ...


class Nothing:
    def __init__(self, folder: Path) -> None: ...
    def log(self, step: int, values: dict[str, float]) -> None: ...
    def close(self) -> None: ...


class Store:
    def __init__(self, folder: Path) -> None:
        self.writer = Writer(folder / "metrics.sqlite")
        self.log = self.writer.metrics

    def close(self) -> None:
        assert self.writer.close()
        assert (self.writer.errors, self.writer.rejected) == (0, 0)


class FlushedJSON:
    def __init__(self, folder: Path) -> None:
        self.file = (folder / "log.jsonl").open("w")

    def log(self, step: int, values: dict[str, float]) -> None:
        self.file.write(json.dumps({"step": step, "time": time.time(), **values}) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


class Trackio:
    def __init__(self, folder: Path) -> None:
        import trackio

        self.run = trackio.init(project="benchmark", auto_log_gpu=False, auto_log_cpu=False, embed=False)

    def log(self, step: int, values: dict[str, float]) -> None:
        self.run.log(values, step=step)

    def close(self) -> None:
        self.run.finish()


class TensorBoard:
    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class Mlflow:
    def __init__(self, folder: Path) -> None:
        import mlflow

        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.start_run()
        self.mlflow = mlflow

    def log(self, step: int, values: dict[str, float]) -> None:
        self.mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


EMPTY, OWN, FLOOR = "empty loop", "lathe", "JSON line, flushed"
LOGS: dict[str, Callable[[Path], Log]] = {
    EMPTY: Nothing,
    OWN: Store,
    FLOOR: FlushedJSON,
    "trackio": Trackio,
    "tensorboardX": TensorBoard,
    "mlflow": Mlflow,
}
MODULES = {"trackio": "trackio", "tensorboardX": "tensorboardX", "mlflow": "mlflow"}
SLOW = {"mlflow": 500}
"""Peers that log only so many steps, of which the cost a point is taken."""


def training_values(steps: int) -> list[dict[str, float]]:
    """Noisy, smooth and constant metrics, as float32 that became Python floats through `.item()`."""
    rng = np.random.default_rng(0)
    at = np.arange(steps)[:, None] / 1000
    table = np.empty((steps, KEYS), "f4")
    table[:, :10] = np.exp(-at) + rng.normal(0, 0.1, (steps, 10))
    table[:, 10:16] = np.cos(at * np.arange(1, 7)) * 1e-3
    table[:, 16:] = [1e-5, 0.5, 128.0, 0.0]
    names = [f"train/metric_{number}" for number in range(KEYS)]
    return [dict(zip(names, row, strict=True)) for row in table.tolist()]


def steps_of(name: str, steps: int) -> int:
    """How many steps a log takes part with."""
    return min(steps, SLOW.get(name, steps))

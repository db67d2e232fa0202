"""How trackio and mlflow read one long metric: what `benchmarks.metrics` puts beside the store's curves."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NOT_INSTALLED = "not installed"
SAMPLED = 320
"""Points that mlflow's page asks its sampler for."""


def best(call: Callable[[], object], times: int = 7) -> float:
    """The least CPU milliseconds of some calls."""
    took = []
    for _ in range(times):
        before = time.process_time()
        call()
        took.append(time.process_time() - before)
    return min(took) * 1000


def trackio_curve(folder: Path, noise: NDArray[np.float32]) -> float | None:
    """CPU ms of `get_metric_values` with at most 1,000 points; None without trackio."""
    if not importlib.util.find_spec("trackio"):
        return None
    os.environ["TRACKIO_DIR"] = str(folder)
    from trackio.sqlite_storage import SQLiteStorage

    project = f"curve{len(noise)}"
    for start in range(0, len(noise), 50_000):
        rows = [{"loss": value} for value in noise[start : start + 50_000].tolist()]
        SQLiteStorage.bulk_log(project, "run", rows, steps=list(range(start, start + len(rows))))
    return best(lambda: SQLiteStorage.get_metric_values(project, "run", "loss", max_points=1000), 2)


def mlflow_curve(folder: Path, noise: NDArray[np.float32]) -> float | None:
    """CPU ms of the sampler behind mlflow's charts, which takes every k-th point in SQL; None without mlflow.

    The rows are put into mlflow's own table directly: logging a million of them takes it minutes.
    """
    if not importlib.util.find_spec("mlflow"):
        return None
    from mlflow.store.tracking.dbmodels.models import SqlMetric
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{folder / 'mlflow-curve.db'}", str(folder))
    run = store.create_run("0", "benchmark", 0, [], f"curve{len(noise)}").info.run_id
    with store.ManagedSessionMaker() as session:
        for start in range(0, len(noise), 50_000):
            rows = [
                {"run_uuid": run, "key": "loss", "value": value, "timestamp": step, "step": step, "is_nan": False}
                for step, value in enumerate(noise[start : start + 50_000].tolist(), start)
            ]
            session.execute(SqlMetric.__table__.insert(), rows)
    read = store.get_metric_history_bulk_interval([run], "loss", SAMPLED, None, None)
    assert SAMPLED // 2 <= len(read) <= SAMPLED + 2, len(read)
    return best(lambda: store.get_metric_history_bulk_interval([run], "loss", SAMPLED, None, None), 2)

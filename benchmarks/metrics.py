"""What the metric store costs: `python -m benchmarks.metrics [--quick]`. CPU time, unless it says wall time.

Writers take turns in fresh processes, several rounds, the median counts, less the cost of the empty loop. A flushed
JSON line a step is the floor; trackio and tensorboardX take part where they are installed.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

KEYS = 20
NOT_INSTALLED = "not installed"


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


LOGS: dict[str, Callable[[Path], Log]] = {
    "empty loop": Nothing,
    "lathe": Store,
    "JSON line, flushed": FlushedJSON,
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


def ingest_child(name: str, folder: Path, steps: int, rate: float) -> None:
    """In a process of its own: log all steps at so many a second (0: as fast as it goes) and print what it took."""
    values, took = training_values(steps), []
    log = LOGS[name](folder)
    before, began = time.process_time(), time.perf_counter()
    for step, row in enumerate(values):
        if rate:
            time.sleep(max(0.0, began + step / rate - time.perf_counter()))
        start = time.perf_counter_ns()
        log.log(step, row)
        took.append((time.perf_counter_ns() - start) / 1000)
    log.close()
    cpu = time.process_time() - before
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    print("RESULT" + json.dumps({"cpu": cpu, "bytes": size, "p50": p50, "p99": p99}))


def batched_child(folder: Path, steps: int) -> None:
    """The store alone, committed every 100 steps as at 200 steps a second, without the sleeps that cool the caches."""
    values, writer = training_values(steps), Writer(folder / "metrics.sqlite", every=1e6)
    before = time.process_time()
    for step, row in enumerate(values):
        writer.metrics(step, row)
        if step % 100 == 99:
            writer.flush()
    writer.close()
    cpu = time.process_time() - before
    size = (folder / "metrics.sqlite").stat().st_size
    print("RESULT" + json.dumps({"cpu": cpu, "bytes": size, "p50": 0.0, "p99": 0.0}))


def run_child(arguments: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TRACKIO_DIR": folder, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.metrics", "--child", folder, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr[-2000:]}")
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
        result: dict[str, float] = json.loads(line.removeprefix("RESULT"))
        return result


def ingest(rounds: int, steps: int, rate: float) -> None:
    title = f"{rate:.0f} steps/s" if rate else "as fast as it goes"
    print(f"\n## Ingest: {KEYS} metrics, {steps:,} steps, {title}, {rounds} rounds in turn")
    here = [name for name in LOGS if name not in MODULES or importlib.util.find_spec(MODULES[name])]
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in here}
    for turn in range(rounds):
        for name in random.Random(turn).sample(here, len(here)):
            seen[name].append(run_child([name, str(steps_of(name, steps)), str(rate)]))
    middle = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in seen.items()
    }
    points, empty = steps * KEYS, middle["empty loop"]["cpu"]
    own = (middle["lathe"]["cpu"] - empty) / points * 1e6
    print(
        "| | CPU µs/point | to lathe | bytes/point | to lathe | log() p50 µs | p99 µs |\n|---|---|---|---|---|---|---|"
    )
    for name in LOGS:
        if name not in middle:
            print(f"| {name} | {NOT_INSTALLED} |")
            continue
        row = middle[name]
        own_points = steps_of(name, steps) * KEYS
        cost, size = (row["cpu"] / own_points - empty / points) * 1e6, row["bytes"] / own_points
        if name == "empty loop":
            print(f"| {name} | ({empty / points * 1e6:.2f} taken off) | | | | {row['p50']:.1f} | {row['p99']:.1f} |")
            continue
        smaller = size / (middle["lathe"]["bytes"] / points)
        print(
            f"| {name} | {cost:.2f} | {cost / own:.1f} x | {size:.1f} | {smaller:.1f} x"
            f" | {row['p50']:.1f} | {row['p99']:.1f} |"
        )


def steps_of(name: str, steps: int) -> int:
    """How many steps a log takes part with."""
    return min(steps, SLOW.get(name, steps))


def batched(rounds: int, steps: int) -> None:
    runs = [run_child(["batched", str(steps), "0"]) for _ in range(rounds)]
    points = steps * KEYS
    print(
        f"\n## Ingest: {KEYS} metrics, {steps:,} steps, one transaction each 100 steps (as at 200 steps/s), no sleeps"
    )
    cost = statistics.median(run["cpu"] for run in runs) / points * 1e6
    print(f"lathe: {cost:.2f} µs/point (target 1.2), {runs[0]['bytes'] / points:.2f} bytes/point (target 4.5)")


def best(call: Callable[[], object], times: int = 7) -> float:
    took = []
    for _ in range(times):
        before = time.process_time()
        call()
        took.append(time.process_time() - before)
    return min(took) * 1000


def curve_of(path: Path, name: str) -> int:
    with Reader(path) as run:
        return len(run.curve(name, 1000).steps)


def curves(folder: Path, lengths: list[int]) -> None:
    print("\n## One metric → at most 1,000 buckets (minimum, mean, maximum), a fresh reader each time (target 12 ms)")
    print("| steps | CPU ms | buckets | trackio get_metric_values(max_points=1000) |\n|---|---|---|---|")
    for length in lengths:
        path = folder / f"{length}.sqlite"
        writer, noise = Writer(path, every=1e6), np.random.default_rng(0).normal(0, 1, length).astype("f4")
        for step, value in enumerate(noise.tolist()):
            writer.metrics(step, {"loss": value})
            if step % 20_000 == 19_999:
                writer.flush()
        writer.close()
        own = best(lambda path=path: curve_of(path, "loss"))
        peer = ""
        if length <= 1_000_000:
            peer = trackio_curve(folder, noise, own)
        print(f"| {length:,} | {own:.1f} | {curve_of(path, 'loss')} | {peer} |", flush=True)
        path.unlink()


def trackio_curve(folder: Path, noise: np.ndarray, own: float) -> str:
    if not importlib.util.find_spec("trackio"):
        return NOT_INSTALLED
    os.environ["TRACKIO_DIR"] = str(folder)
    from trackio.sqlite_storage import SQLiteStorage

    project = f"curve{len(noise)}"
    for start in range(0, len(noise), 50_000):
        rows = [{"loss": value} for value in noise[start : start + 50_000].tolist()]
        SQLiteStorage.bulk_log(project, "run", rows, steps=list(range(start, start + len(rows))))
    took = best(lambda: SQLiteStorage.get_metric_values(project, "run", "loss", max_points=1000), 2)
    return f"{took:.0f} ms, {took / own:.0f} x"


def overlay(folder: Path) -> None:
    steps, first = 50_000, folder / "overlay-0.sqlite"
    with Writer(first, every=1e6) as writer:
        for step, row in enumerate(training_values(steps)):
            writer.metrics(step, row)
            if step % 5000 == 4999:
                writer.flush()
    paths = [first, *(Path(shutil.copy(first, folder / f"overlay-{number}.sqlite")) for number in range(1, 20))]
    took = best(lambda: [curve_of(path, "train/metric_0") for path in paths])
    print(f"\n## Overlay of one metric of 20 runs x {steps:,} steps x {KEYS} metrics\n{took:.1f} ms CPU (target 60)")


def polling(folder: Path, seconds: float) -> None:
    """A reader that polls the newest values and four curves ten times a second beside a writer at 200 steps/s."""
    path = folder / "live.sqlite"
    command = [
        sys.executable,
        "-m",
        "benchmarks.metrics",
        "--child",
        str(folder),
        "live",
        str(int(seconds * 200)),
        "200",
    ]
    ages, took = [], []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as writer:
        while writer.poll() is None:
            time.sleep(0.1)
            before = time.perf_counter()
            with Reader(path) as run:
                run.latest()
                for number in range(4):
                    run.curve(f"train/metric_{number}")
                times = run.times()[1]
            took.append((time.perf_counter() - before) * 1000)
            if len(times) and writer.poll() is None:
                ages.append(time.time() - times[-1])
    age, poll = np.percentile(ages, [50, 100]), np.percentile(took, [50, 99])
    print(f"\n## Polling beside a writer ({seconds:.0f} s, 200 steps/s, wall time)")
    print(f"newest point is {age[0]:.2f} s old (median), {age[1]:.2f} s at most (target 1.5)")
    print(f"one poll (latest values and 4 curves): {poll[0]:.1f} ms (median), {poll[1]:.1f} ms (p99)")


def live_child(folder: Path, steps: int, rate: float) -> None:
    with Writer(folder / "live.sqlite") as writer:
        began = time.perf_counter()
        for step, row in enumerate(training_values(steps)):
            time.sleep(max(0.0, began + step / rate - time.perf_counter()))
            writer.metrics(step, row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, curves up to 1 M steps")
    parser.add_argument("--child", nargs=4, metavar=("FOLDER", "NAME", "STEPS", "RATE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, name, steps, rate = (
            Path(options.child[0]),
            options.child[1],
            int(options.child[2]),
            float(options.child[3]),
        )
        if name == "batched":
            batched_child(folder, steps)
        elif name == "live":
            live_child(folder, steps, rate)
        else:
            ingest_child(name, folder, steps, rate)
        return
    rounds, seconds = (2, 4) if options.quick else (3, 15)
    batched(rounds + 2, 5_000 if options.quick else 20_000)
    ingest(rounds, 200 * seconds, 200.0)
    ingest(rounds, 5_000 if options.quick else 20_000, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        overlay(Path(folder))
        polling(Path(folder), 4 if options.quick else 20)
        longest = 6 if options.quick else 7
        curves(Path(folder), [10**power for power in range(4, longest + 1)])


if __name__ == "__main__":
    main()

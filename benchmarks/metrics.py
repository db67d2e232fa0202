"""What the metric store costs: `python -m benchmarks.metrics [--quick]`. CPU time, unless it says wall time.

Writers take turns in fresh processes, several rounds, the median counts, less the cost of the empty loop; trackio,
tensorboardX and mlflow take part where they are installed.

The targets in CPU time were set on one machine. A flushed JSON line a step is what tells machines apart: it is written
in the same run, and a target is multiplied by what that line costs here over what it cost there (`REFERENCE`).
"""

from __future__ import annotations

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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.metric_logs import EMPTY, FLOOR, KEYS, LOGS, MODULES, OWN, steps_of, training_values
from benchmarks.metric_peers import NOT_INSTALLED, best, mlflow_curve, trackio_curve
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

REFERENCE = {0.0: 0.65, 200.0: 1.38}
"""CPU µs a point of a flushed JSON line on the machine of the targets, by steps a second (0: as fast as it goes)."""
PEERS = {"trackio": 3, "tensorboardX": 40, "mlflow": 70}
"""Times the CPU of the store that each peer takes at least."""
SMALLER = 10


@dataclass(frozen=True)
class Target:
    """A bound and what was seen; `slowness`: how many times the machine of the target this one takes, 1 where the bound
    is no CPU time; `least`: whether it is a lower bound."""

    name: str
    bound: float
    seen: float
    unit: str
    slowness: float = 1.0
    least: bool = False

    @property
    def here(self) -> float:
        return self.bound * self.slowness

    @property
    def is_met(self) -> bool:
        return self.seen >= self.here if self.least else self.seen <= self.here

    def row(self) -> str:
        sign = "≥" if self.least else "≤"
        return (
            f"| {self.name} | {sign} {self.bound:g} {self.unit} | {sign} {self.here:.3g} | {self.seen:.3g}"
            f" | {'met' if self.is_met else 'not met'} |"
        )


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


def take_turns(names: list[str], rounds: int, steps: int, rate: float) -> dict[str, dict[str, float]]:
    """The median of each log's rounds, in a random order each round."""
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in random.Random(turn).sample(names, len(names)):
            seen[name].append(run_child([name, str(steps_of(name, steps)), str(rate)]))
    return {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in seen.items()}


def cost(middle: dict[str, dict[str, float]], name: str, steps: int) -> float:
    """CPU µs a point, without the empty loop's."""
    return (middle[name]["cpu"] / steps_of(name, steps) - middle[EMPTY]["cpu"] / steps) / KEYS * 1e6


def slowness(rounds: int, steps: int = 20_000) -> float:
    """How many times as long as on the machine of the targets a flushed JSON line takes here and now."""
    return cost(take_turns([EMPTY, FLOOR], rounds, steps, 0.0), FLOOR, steps) / REFERENCE[0.0]


def ingest(rounds: int, steps: int, rate: float) -> list[Target]:
    title = f"{rate:.0f} steps/s" if rate else "as fast as it goes"
    print(f"\n## Ingest: {KEYS} metrics, {steps:,} steps, {title}, {rounds} rounds in turn")
    here = [name for name in LOGS if name not in MODULES or importlib.util.find_spec(MODULES[name])]
    middle = take_turns(here, rounds, steps, rate)
    own, own_size = cost(middle, OWN, steps), middle[OWN]["bytes"] / (steps * KEYS)
    print(
        "| | CPU µs/point | to lathe | bytes/point | to lathe | log() p50 µs | p99 µs |\n|---|---|---|---|---|---|---|"
    )
    targets = []
    for name in LOGS:
        if name not in middle:
            print(f"| {name} | {NOT_INSTALLED} |")
            continue
        row = middle[name]
        if name == EMPTY:
            took = row["cpu"] / steps / KEYS * 1e6
            print(f"| {name} | ({took:.2f} taken off) | | | | {row['p50']:.1f} | {row['p99']:.1f} |")
            continue
        used, size = cost(middle, name, steps), row["bytes"] / (steps_of(name, steps) * KEYS)
        print(
            f"| {name} | {used:.2f} | {used / own:.1f} x | {size:.1f} | {size / own_size:.1f} x"
            f" | {row['p50']:.1f} | {row['p99']:.1f} |",
            flush=True,
        )
        if rate and name in PEERS:
            targets.append(Target(f"CPU of {name} to ours", PEERS[name], used / own, "x", least=True))
            targets.append(Target(f"bytes of {name} to ours", SMALLER, size / own_size, "x", least=True))
    if not rate:
        return []
    slow = cost(middle, FLOOR, steps) / REFERENCE[rate]
    print(f"This machine takes {slow:.2f} times what that of the targets takes (JSON line at this pace).")
    return [
        Target(f"ingest at {rate:.0f} steps/s, paced", 1.2, own, "µs/point", slow),
        Target("log() p99, wall time", 100, middle[OWN]["p99"], "µs"),
        *targets,
    ]


def batched(rounds: int, steps: int) -> list[Target]:
    print(
        f"\n## Ingest: {KEYS} metrics, {steps:,} steps, one transaction each 100 steps (as at 200 steps/s), no sleeps"
    )
    runs, floors = [], []
    for _ in range(rounds):
        runs.append(run_child(["batched", str(steps), "0"]))
        floors.append(slowness(1, steps))
    slow, points = statistics.median(floors), steps * KEYS
    used, size = statistics.median(run["cpu"] for run in runs) / points * 1e6, runs[0]["bytes"] / points
    print(
        f"lathe: {used:.2f} µs/point, {size:.2f} bytes/point; this machine takes {slow:.2f} times that of the targets"
    )
    return [
        Target("ingest at 200 steps/s, without the sleeps", 1.2, used, "µs/point", slow),
        Target("bytes at 20 metrics", 4.5, size, "bytes/point"),
    ]


def curve_of(path: Path, name: str) -> int:
    with Reader(path) as run:
        return len(run.curve(name, 1000).steps)


def curves(folder: Path, lengths: list[int], rounds: int) -> list[Target]:
    print("\n## One metric → at most 1,000 buckets (minimum, mean, maximum), a fresh reader each time")
    slow, targets = slowness(rounds), []
    print(f"This machine takes {slow:.2f} times what that of the targets takes.")
    print(
        "| steps | CPU ms | the first time in a process | buckets | trackio get_metric_values(max_points=1000)"
        " | mlflow's own sampler (320 points) |\n|---|---|---|---|---|---|"
    )
    for length in lengths:
        path = folder / f"{length}.sqlite"
        writer, noise = Writer(path, every=1e6), np.random.default_rng(0).normal(0, 1, length).astype("f4")
        for step, value in enumerate(noise.tolist()):
            writer.metrics(step, {"loss": value})
            if step % 20_000 == 19_999:
                writer.flush()
        writer.close()
        first = best(lambda path=path: curve_of(path, "loss"), 1)
        own = best(lambda path=path: curve_of(path, "loss"))
        peers: dict[str, float | None] = {"trackio": None, "mlflow": None}
        if length <= 1_000_000:
            peers = {"trackio": trackio_curve(folder, noise), "mlflow": mlflow_curve(folder, noise)}
        said = [NOT_INSTALLED if took is None else f"{took:.0f} ms, {took / own:.0f} x" for took in peers.values()]
        said = said if length <= 1_000_000 else ["", ""]
        print(f"| {length:,} | {own:.1f} | {first:.1f} | {curve_of(path, 'loss')} | {' | '.join(said)} |", flush=True)
        targets.append(Target(f"curve of {length:,} steps", 12, own, "ms", slow))
        if length == 1_000_000:
            least = {"trackio": 500, "mlflow": 50}
            targets += [
                Target(f"{name} on the 1 M curve to ours", least[name], took / own, "x", least=True)
                for name, took in peers.items()
                if took is not None
            ]
        path.unlink()
    return targets


def overlay(folder: Path, rounds: int) -> list[Target]:
    steps, first = 50_000, folder / "overlay-0.sqlite"
    with Writer(first, every=1e6) as writer:
        for step, row in enumerate(training_values(steps)):
            writer.metrics(step, row)
            if step % 5000 == 4999:
                writer.flush()
    paths = [first, *(Path(shutil.copy(first, folder / f"overlay-{number}.sqlite")) for number in range(1, 20))]
    slow, took = slowness(rounds), best(lambda: [curve_of(path, "train/metric_0") for path in paths])
    print(f"\n## Overlay of one metric of 20 runs x {steps:,} steps x {KEYS} metrics\n{took:.1f} ms CPU")
    print(f"This machine takes {slow:.2f} times what that of the targets takes.")
    return [Target(f"overlay of 20 runs of {steps:,} steps", 60, took, "ms", slow)]


def polling(folder: Path, seconds: float) -> list[Target]:
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
    print(f"newest point is {age[0]:.2f} s old (median), {age[1]:.2f} s at most")
    print(f"one poll (latest values and 4 curves): {poll[0]:.1f} ms (median), {poll[1]:.1f} ms (p99)")
    return [Target("age of the newest point, wall time", 1.5, float(age[1]), "s")]


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
    targets = batched(rounds + 2, 5_000 if options.quick else 20_000)
    targets += ingest(rounds, 200 * seconds, 200.0)
    ingest(rounds, 5_000 if options.quick else 20_000, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        targets += overlay(Path(folder), rounds)
        targets += polling(Path(folder), 4 if options.quick else 20)
        longest = 6 if options.quick else 7
        targets += curves(Path(folder), [10**power for power in range(4, longest + 1)], rounds)
    print("\n| target | on the machine of the targets | here | seen | |\n|---|---|---|---|---|")
    for target in targets:
        print(target.row())


if __name__ == "__main__":
    main()

"""What sampling this host costs: CPU of one look with 0, 1 and 8 live jobs, beside eight fake GPUs, and a day's file.

    python -m benchmarks.sampler [--rounds 50]

A live job is a process with four children, all asleep. CPU milliseconds of the sampler's thread, median and worst; one
look is made every two seconds. The file: a day of samples (43,200) of a host with eight GPUs, whose numbers move.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from platform_core.clock import now
from platform_core.hosts import history
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import open_workspace
from runners.sampler import EVERY, Sampler

FAKE = Path(__file__).resolve().parents[1] / "tests" / "fake_nvml"
GIB = 2**30
CHILDREN = 4
FAMILY = f"import subprocess; [subprocess.Popen(['sleep', '600']) for _ in range({CHILDREN})][0].wait()"


def fake_gpus(path: Path) -> None:
    """Eight GPUs, each with a process."""
    gpus = [
        {"uuid": f"GPU-{i}", "name": "H200", "memory_total": 141 * GIB, "memory_used": 9 * GIB, "utilization": 90,
         "temperature": 60, "power": 500, "power_limit": 700, "processes": [{"pid": os.getpid(), "memory": GIB}]}
        for i in range(8)
    ]  # fmt: skip
    path.write_text(json.dumps({"gpus": gpus}))
    os.environ["FAKE_NVML"] = str(path)
    sys.path.insert(0, str(FAKE))


def looks(home: Path, live: int, rounds: int) -> str:
    """CPU milliseconds of a look with `live` jobs."""
    place = open_workspace(home)
    sampler = Sampler(place)
    started = [subprocess.Popen([sys.executable, "-c", FAMILY], start_new_session=True) for _ in range(live)]
    for number in range(live):
        place.job_folder(f"job{number}").mkdir(parents=True, exist_ok=True)
    time.sleep(1.0)
    leaders = {f"job{number}": process.pid for number, process in enumerate(started)}
    sampler._leaders = lambda: leaders  # type: ignore[method-assign]
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        sampler.sample()
        taken.append(1000 * (time.process_time() - began))
    for process in started:
        os.killpg(process.pid, 9)
        process.wait()
    return f"{statistics.median(taken):5.1f} ({max(taken):.1f})"


def day(path: Path) -> tuple[float, int]:
    """MiB of a day's file, closed, and how many numbers are in it."""
    dice, writer, count = random.Random(0), Writer(path, 60.0), 0
    begin = int(now()) // 86_400 * 86_400
    usual = Gpu("GPU", 0, "H200", 141 * GIB, 90 * GIB, 90.0, 60.0, 500.0, 700.0)
    for at in range(begin, begin + 86_400, int(EVERY)):
        gpus = tuple(
            replace(usual, index=i, utilization=float(dice.randint(80, 100)), temperature=60.0 + dice.randint(0, 9),
                    power=round(500 + 40 * dice.random(), 3), memory_used=90 * GIB + dice.randint(0, 9) * 2**21)
            for i in range(8)
        )  # fmt: skip
        seen = Snapshot(
            "host", float(at), gpus, 64, 100 * dice.random(), round(20 * dice.random(), 2), 512 * GIB,
            400 * GIB + 4096 * dice.randint(0, 10**6), 2**42, 2**41 - 4096 * dice.randint(0, 10**6),
            1e6 * dice.random(), 1e6 * dice.random(), 1e5 * dice.random(), 1e5 * dice.random(),
        )  # fmt: skip
        found = history.numbers(seen)
        count += len(found)
        writer.metrics(at, found)
        if at % 600 == 0:
            writer.flush()
    writer.close()
    return path.stat().st_size / 2**20, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        fake_gpus(Path(folder) / "nvml.json")
        for live in (0, 1, 8):
            print(f"{live} live jobs: {looks(Path(folder) / f'home{live}', live, given.rounds)} ms a look", flush=True)
        size, count = day(Path(folder) / "day.sqlite")
        print(f"a day: {size:.1f} MiB, {count:,} numbers, {size * 2**20 / count:.1f} bytes a number")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

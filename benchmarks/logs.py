"""What a page of a long log costs: time, CPU and memory of each way to look at it.

    python -m benchmarks.logs [--gigabytes 2] [--packed]

Writes a log of that size, whole or packed into segments as the supervisor packs it, asks for pages of 500 lines, each
in a process of its own, and prints the median and longest of five draws and by how much the process grew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from platform_core.logs.file import LogFile
from platform_core.logs.page import Query, ahead, tail
from platform_core.logs.places import find_place
from runners.log_rotation import rotate

PAGE, SECONDS = 500, 0.2
LINES = 20_000


def write(path: Path, size: int) -> None:
    """A log like that of a training, a line every hundredth of a second."""
    start = datetime(2026, 5, 1)  # noqa: DTZ001 (a log tells no zone)
    step = 0
    with path.open("wb") as file:
        while file.tell() < size:
            rows = []
            for _ in range(LINES):
                step += 1
                level = "WARNING" if step % 5000 == 0 else "INFO"
                moment = start + timedelta(seconds=step // 100)
                rows.append(
                    f"{moment},{step % 1000:03d} {level} lathe.train: step {step} loss {1 / step:.9f} lr 0.0003\n"
                )
            file.write("".join(rows).encode())


def scroll(path: Path, query: Query) -> None:
    """From the middle on."""
    with LogFile(path) as log:
        middle = log.size // 2
    ahead(path, middle, PAGE, query, seconds=SECONDS)


def jump(path: Path, asked: str) -> None:
    ahead(path, find_place(path, path.with_name("none"), asked), PAGE, Query(), seconds=SECONDS)


def download(path: Path) -> None:
    with LogFile(path) as log:
        assert sum(map(len, log.pieces())) == log.size


def ways(path: Path) -> dict[str, Callable[[], object]]:
    """What a person may do with the log."""
    find = partial(tail, path, PAGE, seconds=SECONDS)
    return {
        "the end": find,
        "errors (there are none)": partial(find, "error"),
        "warnings": partial(find, "warning"),
        "a word that is not there": partial(find, search="needle"),
        "a word that is everywhere": partial(find, search="loss"),
        "an expression, 5 lines beside": partial(find, search=r"step \d+000 ", regex=True, context=5),
        "an expression that never ends": partial(find, search=r"(.*)*needle", regex=True),
        "a page in the middle": partial(scroll, path, Query()),
        "to a time": partial(jump, path, "2026-05-02 01:00"),
        "download (all of it)": partial(download, path),
    }


def resident(name: str) -> int:
    """KiB of this process's memory, now or at most."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0])


def measure(path: Path, way: str, line: multiprocessing.SimpleQueue[tuple[list[float], list[float], int]]) -> None:
    """In a child: seconds and CPU seconds of each draw, and bytes by which it grew."""
    draw, took, cpu = ways(path)[way], list[float](), list[float]()
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten: what was imported is not meant
    before = resident("VmRSS")
    for _ in range(1 if way.startswith("download") else 5):
        began, used = time.perf_counter(), time.process_time()
        draw()
        took.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    line.put((took, cpu, resident("VmHWM") - before))


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--packed", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        write(path, int(given.gigabytes * 1e9))
        if given.packed:
            began = time.process_time()
            print(f"{rotate(path)} segments in {time.process_time() - began:.1f} s of CPU")
        disk = sum(p.stat().st_blocks * 512 for p in Path(folder).iterdir())
        print(f"log of {path.stat().st_size / 1e9:.2f} GB, {disk / 1e9:.2f} GB of disk")
        spawning = multiprocessing.get_context("spawn")
        for way in ways(path):
            line = spawning.SimpleQueue()
            child = spawning.Process(target=measure, args=(path, way, line))
            child.start()
            took, cpu, grown = line.get()
            child.join()
            print(
                f"{way:<32} {statistics.median(took) * 1e3:7.0f} ms  (longest {max(took) * 1e3:5.0f})  "
                f"CPU {statistics.median(cpu) * 1e3:6.0f} ms  memory +{grown / 1024:5.1f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()

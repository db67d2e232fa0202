"""What the doctor costs: `python -m benchmarks.doctor [STEPS ...]` prints CPU milliseconds of a look for each length.

A running GRPO job with eleven metrics, every step logged; a fresh case each time, as the supervisor makes it, the
database left out. Then what the thread beside the supervisor's loop takes while so many jobs write all the time.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread

from platform_core.doctor.service import examine
from platform_core.jobs.folder import metrics_file
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import open_workspace
from runners.watchdog import Watchdog
from tests.unit.app.runs import add_job
from tests.unit.doctor.runs import Story, reinforced, tell

LOOKS = 20
LIVE = 50
STEPS_OF_LIVE = 20_000
SECONDS = 60.0


def write(story: Story, path: Path) -> None:
    """A metrics file of all curves."""
    columns = [values.tolist() for values in story.curves.values()]
    with Writer(path) as out:
        for at, row in enumerate(zip(*columns, strict=True)):
            out.metrics(at + 1, dict(zip(story.curves, row, strict=True)))


def milliseconds(steps: int, folder: Path) -> float:
    """The median CPU time of one look at a run of so many steps."""
    story = reinforced(1, points=steps)
    case = tell(replace(story, curves={}), folder)
    write(story, folder / "metrics.sqlite")
    taken = []
    for _ in range(LOOKS):
        fresh = replace(case, _kept={})
        before = time.process_time()
        examine(fresh)
        taken.append(1000 * (time.process_time() - before))
    return statistics.median(taken)


def beside(home: Path) -> tuple[float, float]:
    """Share of a core that the thread takes while `LIVE` jobs all write, and the seconds of its first round."""
    place = open_workspace(home)
    story = reinforced(1, points=STEPS_OF_LIVE)
    write(story, home / "one.sqlite")
    files = []
    for _ in range(LIVE):
        files.append(metrics_file(place, add_job(place, kind="grpo", steps=STEPS_OF_LIVE, total=10**6)))
        shutil.copy(home / "one.sqlite", files[-1])
    watchdog, told = Watchdog(place), [0.0, 0.0]

    def rounds() -> None:
        began, until = time.thread_time(), time.monotonic() + SECONDS
        while time.monotonic() < until:
            for file in files:
                os.utime(file)
            at = time.monotonic()
            watchdog.look()
            told[1] = told[1] or time.monotonic() - at
            watchdog.closing.wait(5.0)
        told[0] = (time.thread_time() - began) / (time.monotonic() - until + SECONDS)

    thread = Thread(target=rounds)
    thread.start()
    thread.join()
    return told[0], told[1]


def main() -> None:
    for steps in map(int, sys.argv[1:] or ["10000", "1000000"]):
        with tempfile.TemporaryDirectory() as folder:
            print(f"{steps:>12,} steps: {milliseconds(steps, Path(folder) / 'run'):6.1f} ms CPU a look", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        share, seconds = beside(Path(folder))
        print(
            f"{LIVE} jobs of {STEPS_OF_LIVE:,} steps: {share:.1%} of a core, a round takes {seconds:.1f} s", flush=True
        )


if __name__ == "__main__":
    main()

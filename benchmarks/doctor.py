"""What one look of the doctor costs: `python benchmarks/doctor.py [STEPS ...]` prints CPU milliseconds for each length.

A running GRPO job with eleven metrics, every step logged; a fresh case each time, as the
supervisor makes it, the database left out.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from platform_core.doctor.service import examine
from platform_core.metrics.writer import Writer
from tests.unit.doctor.runs import reinforced, tell

LOOKS = 20


def milliseconds(steps: int, folder: Path) -> float:
    """The median CPU time of one look at a run of so many steps."""
    story = reinforced(1, points=steps)
    case = tell(replace(story, curves={}), folder)
    columns = [values.tolist() for values in story.curves.values()]
    with Writer(folder / "metrics.sqlite") as out:
        for at, row in enumerate(zip(*columns, strict=True)):
            out.metrics(at + 1, dict(zip(story.curves, row, strict=True)))
    taken = []
    for _ in range(LOOKS):
        fresh = replace(case, _kept={})
        before = time.process_time()
        examine(fresh)
        taken.append(1000 * (time.process_time() - before))
    return statistics.median(taken)


def main() -> None:
    for steps in map(int, sys.argv[1:] or ["10000", "1000000"]):
        with tempfile.TemporaryDirectory() as folder:
            print(f"{steps:>12,} steps: {milliseconds(steps, Path(folder) / 'run'):6.1f} ms CPU a look", flush=True)


if __name__ == "__main__":
    main()

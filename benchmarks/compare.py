"""What lists, comparisons and reports cost: the jobs page with 10,000 jobs, 20 runs side by side, CSV of a long run.

    python -m benchmarks.compare

CPU time of this process, medians of several rounds; no browser.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
from sqlalchemy import insert

from app.curve_axes import BUCKETS
from app.live_chart import Line, line_figure
from platform_core.clock import now
from platform_core.database.engine import writing
from platform_core.database.tables import jobs as table
from platform_core.ids import new_id
from platform_core.jobs import organize
from platform_core.jobs import service as jobs
from platform_core.jobs.compare import compare, grouped
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.looks import looks
from platform_core.jobs.mean_curve import mean_curve
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer
from platform_core.reports import csv
from platform_core.reports.parts import Voice
from platform_core.reports.service import Format, render
from platform_core.workspace.service import Workspace, open_workspace

ROOT = Path(__file__).parents[1]
JOBS, RUNS, STEPS, LONG = 10_000, 20, 50_000, 1_000_000
SPEC = {"model": "tiny", "dataset": "sums.jsonl", "max_steps": STEPS, "learning_rate": 1e-3, "seed": 0}


def cpu(what: Callable[[], object], rounds: int = 7) -> float:
    """Milliseconds of CPU, the median."""
    found = []
    for _round in range(rounds):
        began = process_time()
        what()
        found.append(1000 * (process_time() - began))
    return median(found)


def rows(count: int) -> list[dict[str, object]]:
    """Rows of completed jobs; every tenth has a tag, every hundredth a star, every fifth is in the archive."""
    return [
        {
            "id": new_id(), "name": f"run {at}", "kind": "sft", "engine": "hf", "spec": {**SPEC, "seed": at},
            "spec_hash": "0" * 64, "state": "completed", "since": now(), "owner": "ann", "priority": 0, "cpu_slots": 1,
            "attempt": 1, "created_at": now() - at, "progress": {"step": 100, "total_steps": 100, "updated_at": now()},
            "latest": {"loss": 0.5}, "sparkline": [3.0, 2.0, 1.0], "result": {"metrics": {"loss": 0.5 + at}},
            "tags": [f"t{at % 100}", "sweep"] if at % 10 == 0 else None, "starred": at % 100 == 0,
            "archived_at": now() if at % 5 == 4 else None,
        }
        for at in range(count)
    ]  # fmt: skip


def lists(workspace: Workspace) -> None:
    """One page of 10,000 jobs with each of the filters."""
    with writing(workspace.engine) as connection:
        connection.execute(insert(table), rows(JOBS))
    filters: dict[str, dict[str, object]] = {
        "no filter": {}, "tag": {"tag": "t50"}, "star": {"starred": True}, "search": {"search": "run 99"},
    }  # fmt: skip
    for name, wanted in filters.items():
        page = cpu(lambda w=wanted: jobs.list_jobs(workspace, archived=False, limit=50, **w))  # type: ignore[misc]
        count = cpu(lambda w=wanted: jobs.count_jobs(workspace, archived=False, **w))  # type: ignore[misc]
        print(f"{JOBS:,} jobs, {name}: page of 50 {page:.1f} ms, counts by state {count:.1f} ms", flush=True)
    print(f"{JOBS:,} jobs, tags in use: {cpu(lambda: organize.tags_in_use(workspace)):.1f} ms", flush=True)


def page_of_jobs(workspace: Workspace) -> None:
    """A rerun of the whole jobs page."""
    os.environ["PLATFORM_HOME"] = str(workspace.home)
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_file(ROOT / "app" / "shell.py", default_timeout=120).run()
    at.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    print(f"{JOBS:,} jobs, rerun of the page: {cpu(lambda: at.run()):.0f} ms", flush=True)


def side_by_side(workspace: Workspace) -> None:
    """20 runs of 50,000 steps: what one refresh of the page reads and draws, and their reports."""
    made: list[Job] = []
    x, random = np.arange(STEPS), np.random.default_rng(0)
    for job in jobs.list_jobs(workspace, archived=False, limit=RUNS):
        workspace.job_folder(job.id).mkdir(parents=True, exist_ok=True)
        loss = (3 * np.exp(-x / 9000) + random.normal(0, 0.05, STEPS)).tolist()
        with Writer(metrics_file(workspace, job)) as writer:
            for step, value in enumerate(loss):
                writer.metrics(step, {"loss": value, "grad_norm": value / 2, "learning_rate": 1e-3})
        made.append(job)
    ids = [job.id for job in made]

    def refresh() -> None:
        shown, look, lines = compare(workspace, ids), looks(ids), []
        for run in shown.runs:
            with Reader(metrics_file(workspace, run.job)) as reader:
                reader.names()
                curve = reader.curve("loss", BUCKETS)
            lines.append(Line(curve.steps, curve.mean, run.job.name, look[run.job.id][0], curve.minimum, curve.maximum))
        line_figure(lines, x_title="step")
        grouped(shown, "learning_rate", "loss")

    def means() -> None:
        curves = []
        for job in made:
            with Reader(metrics_file(workspace, job)) as reader:
                curve = reader.curve("loss", BUCKETS)
            curves.append((curve.steps.astype(float), curve.mean))
        mean_curve(curves)

    print(f"compare, {RUNS} runs x {STEPS:,} steps: one refresh {cpu(refresh):.0f} ms, means {cpu(means):.0f} ms")
    wanted: tuple[Format, ...] = ("html", "pdf")
    for format in wanted:
        took = cpu(lambda f=format: b"".join(render(workspace, ids, f, Voice())), 3)  # type: ignore[misc]
        size = len(b"".join(render(workspace, ids, format, Voice())))
        print(f"report of {RUNS} runs, {format}: {took:.0f} ms, {size / 1024:.0f} KiB", flush=True)


def long_csv(folder: Path) -> None:
    """CSV of 1,000,000 steps x 3 metrics: time, rows, memory."""
    path = folder / "long.sqlite"
    with Writer(path) as writer:
        for step in range(LONG):
            writer.metrics(step, {"loss": step * 0.1, "grad_norm": 1.0, "learning_rate": 1e-3})
    before, began, wall, size = peak(), process_time(), perf_counter(), 0
    for piece in csv.wide(path):
        size += len(piece)
    print(
        f"CSV, {LONG:,} steps x 3 metrics: {process_time() - began:.1f} s CPU, {perf_counter() - wall:.1f} s,"
        f" {size / 2**20:.0f} MiB, peak memory +{peak() - before:.0f} MiB",
        flush=True,
    )


def peak() -> float:
    """The most memory that this process had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def reportlab() -> None:
    """What the first PDF imports."""
    code = (
        "import time; b = time.process_time(); import reportlab.platypus, reportlab.graphics.shapes,"
        " reportlab.pdfbase.cidfonts; print(f'{1000 * (time.process_time() - b):.0f}')"
    )
    took = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    import reportlab as package

    size = sum(f.stat().st_size for f in Path(package.__file__).parent.rglob("*") if f.suffix != ".pyc")
    print(f"import of reportlab: {took} ms, {size / 2**20:.1f} MiB on the disk", flush=True)


def main() -> None:
    """All of it, in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        long_csv(Path(folder))
        workspace = open_workspace(Path(folder) / "ws")
        lists(workspace)
        side_by_side(workspace)
        page_of_jobs(workspace)
        reportlab()


if __name__ == "__main__":
    main()

"""What a job used of its host over its life: CPU, memory, and each of its GPUs."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st

from app.format import number
from app.live_chart import Line, line_figure, live_chart
from app.page import link, workspace
from app.words import _
from platform_core.hosts.history import job_file
from platform_core.jobs.looks import COLOURS
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader

GIB = 2**30
BUCKETS = 600
GPU_KEY = re.compile(r"gpu\.(?P<index>\d+)\.(?P<what>memory|utilization)")


def devices_panel(job: Job) -> None:
    """Curves over the job's life, in minutes since it was first sampled. Raises Problem."""
    with Reader(job_file(workspace(), job.id)) as run:
        latest = run.latest()
        curves = {name: run.curve(name, BUCKETS) for name in latest}
    if not curves:
        st.caption(_("Nothing sampled: its host is looked at every two seconds while the job has a process."))
        return
    begin = min(int(curve.steps[0]) for curve in curves.values())
    life = max(int(curve.steps[-1]) for curve in curves.values()) - begin
    charts = [("cpu", _("CPU, % of one core"), 1.0), ("rss", _("Memory of all its processes, GiB"), 1 / GIB)]
    for found in filter(None, map(GPU_KEY.fullmatch, sorted(curves))):
        if found["what"] == "memory":
            charts.append((found[0], _("GPU {n}: memory of this job, GiB", n=found["index"]), 1 / GIB))
        else:
            charts.append((found[0], _("GPU {n}: busy, %", n=found["index"]), 1.0))
    with st.grid(2, min_column_width=300, gap="medium", key="job-devices"):
        for at, (key, title, factor) in enumerate(charts):
            if key in curves:
                curve = curves[key]
                x = (curve.steps - begin).astype(np.float64) / 60
                figure = line_figure([Line(x, curve.mean * factor, title, at % COLOURS)], x_title=_("min"), axis="time")
                figure["layout"]["xaxis"]["range"] = [0, max(life, 1) / 60]
                figure["layout"]["yaxis"]["rangemode"] = "tozero"
                shown = number(latest[key][1] * factor, 3)
                live_chart(title, figure, key=f"device.{job.id}.{key}", value=shown)
    st.caption(_("Memory that several processes share counts in each of them."))
    link("hosts", _("All devices of the host"), "developer_board")

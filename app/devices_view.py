"""How a host's devices are drawn: cards of GPUs, facts of the machine, curves over a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.format import UNKNOWN, ago, moment, number
from app.live_chart import Line, line_figure, live_chart
from app.page import fact_grid, link, plain
from app.ring import Part
from app.split_bar import split_bar
from app.words import _
from platform_core.clock import now
from platform_core.hosts.decisions import Decision
from platform_core.hosts.devices import Gpu, GpuProcess, Snapshot
from platform_core.hosts.history import Latest, Window
from platform_core.hosts.service import Reservation
from platform_core.jobs.looks import COLOURS, DASHES, Dash

GIB = 2**30
NAMED = 3


def gib(size: float) -> str:
    """Bytes in GiB."""
    return f"{size / GIB:,.1f} GiB"


def rate(value: float | None) -> str:
    """Bytes a second, in three digits of the unit that fits."""
    if value is None:
        return UNKNOWN
    for unit, size in (("GiB/s", 2**30), ("MiB/s", 2**20), ("KiB/s", 2**10)):
        if value >= size:
            return f"{number(float(value / size), 3)} {unit}"
    return f"{value:.0f} B/s"


def percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f} %"


def staleness(found: Latest) -> None:
    """Say since when the numbers are old; nothing while they are of now."""
    if not found.fresh:
        st.warning(
            _(
                "These numbers are of {time}, {ago}: nobody samples this host now. The supervisor does it; start it "
                "with lathe supervisor start.",
                time=plain(moment(found.snapshot.time)),
                ago=ago(found.age),
            ),
            icon=":material/history:",
        )


def machine_facts(seen: Snapshot) -> None:
    """Processor, memory, disk, network in one grid."""
    load = UNKNOWN if seen.load is None else number(seen.load, 3)
    used = seen.memory_total - seen.memory_available
    fact_grid(
        [
            (_("CPU"), _("{busy} of {n} cores", busy=percent(seen.cpu), n=seen.cores)),
            (_("Load, 1 minute"), load),
            (_("Memory used"), _("{used} of {total}", used=gib(used), total=gib(seen.memory_total))),
            (_("Disk free"), _("{free} of {total}", free=gib(seen.disk_free), total=gib(seen.disk_total))),
            (_("Disk reads, writes"), f"{rate(seen.disk_read)}, {rate(seen.disk_write)}"),
            (_("Network in, out"), f"{rate(seen.net_in)}, {rate(seen.net_out)}"),
        ],
        columns=6,
    )


def gpu_card(gpu: Gpu, reserved: Reservation | None, names: dict[str, str]) -> None:
    """One GPU: how busy, whose memory, how hot, who uses it."""
    st.markdown(f"**{plain(_('GPU {n}', n=gpu.index))}** · {plain(gpu.name)}")
    power = UNKNOWN if gpu.power is None else f"{gpu.power:.0f} W"
    heat = UNKNOWN if gpu.temperature is None else f"{gpu.temperature:.0f} °C"
    st.markdown(plain(_("{share} busy · {heat} · {power}", share=percent(gpu.utilization), heat=heat, power=power)))
    total = max(gpu.memory_total, 1)
    ours = min(sum(p.memory_bytes or 0 for p in gpu.processes if p.job_id), gpu.memory_used)
    other = gpu.memory_used - ours
    split_bar(
        [
            Part(_("Our jobs"), ours / total, gib(ours)),
            Part(_("Others"), other / total, gib(other)),
            Part(_("Free"), gpu.memory_free / total, gib(gpu.memory_free), grey=0.12),
        ],
        key=f"devices.memory.{gpu.uuid}",
    )
    for process in gpu.processes[:NAMED]:
        job = process.job_id
        if job is not None and job in names:
            link("monitor", names[job], "monitoring", job=job)
        else:
            st.caption(plain(who(process)))
    if len(gpu.processes) > NAMED:
        st.caption(_("and {n} more processes", n=len(gpu.processes) - NAMED))
    if not gpu.processes:
        st.caption(
            _("Nobody uses it.")
            if gpu.memory_used < GIB
            else _("Its memory is used by processes that can't be seen from here.")
        )
    if reserved is not None:
        said = _("Reserved by {who} {ago}", who=reserved.actor, ago=ago(max(0.0, now() - reserved.since)))
        st.caption(f":material/lock: {plain(said)}{': ' + plain(reserved.reason) if reserved.reason else ''}")


def who(process: GpuProcess) -> str:
    """A process that is no job of ours, in words."""
    size = UNKNOWN if process.memory_bytes is None else gib(process.memory_bytes)
    if not process.name:
        return _("unknown process {pid} (of a container or another user): {size}", pid=process.pid, size=size)
    return _("{name} (pid {pid}) of {user}: {size}", name=process.name, pid=process.pid, user=process.user, size=size)


def decision_rows(made: Sequence[Decision], found: Latest | None) -> None:
    """Who kept what from jobs and who gave it back, newest first."""
    numbers = {g.uuid: _("GPU {n}", n=g.index) for g in found.snapshot.gpus} if found is not None else {}
    for one in made:
        what = numbers.get(one.gpu, one.gpu)
        said = {
            "reserve": _("{who} reserved {gpu}", who=one.actor, gpu=what),
            "release": _("{who} released {gpu}", who=one.actor, gpu=what),
            "drain": _("{who} stopped it from taking new jobs", who=one.actor),
            "undrain": _("{who} opened it to jobs again", who=one.actor),
        }.get(one.verb, one.verb)
        st.caption(plain(f"{moment(one.time)} · {said}{': ' + one.reason if one.reason else ''}"))


def host_charts(found: Window, seen: Snapshot, seconds: float) -> None:
    """Curves of the last hour or day; the axis counts back from now."""
    at = now()
    unit, scale = (_("min"), 60.0) if seconds <= 3600 else (_("h"), 3600.0)

    def line(key: str, name: str, colour: int, factor: float = 1.0, dash: Dash = "solid") -> Line | None:
        if key not in found:
            return None
        times, values = found[key]
        return Line((times - at) / scale, values * factor, name, colour, dash=dash)

    used = None
    if "memory_available" in found:
        times, free = found["memory_available"]
        used = Line((times - at) / scale, (seen.memory_total - free) / GIB, _("Memory used"), 2)
    mib = 1 / 2**20
    charts: list[tuple[str, str, list[Line | None]]] = [
        (_("CPU, % of all cores"), "cpu", [line("cpu", _("CPU"), 0)]),
        (_("Memory used, GiB"), "memory", [used]),
        (_("Disk, MiB/s"), "disk",
         [line("disk_read", _("reads"), 0, mib), line("disk_write", _("writes"), 1, mib)]),
        (_("Network, MiB/s"), "net", [line("net_in", _("in"), 0, mib), line("net_out", _("out"), 1, mib)]),
    ]  # fmt: skip
    if seen.gpus:
        for title, key, factor in (
            (_("GPU busy, %"), "utilization", 1.0), (_("GPU memory used, GiB"), "memory_used", 1 / GIB),
            (_("GPU temperature, °C"), "temperature", 1.0), (_("GPU power, W"), "power", 1.0),
        ):  # fmt: skip
            lines = [
                line(
                    f"gpu.{g.index}.{key}",
                    f"GPU {g.index}",
                    g.index % COLOURS,
                    factor,
                    DASHES[g.index // COLOURS % len(DASHES)],
                )
                for g in seen.gpus
            ]
            charts.append((title, key, lines))
    with st.grid(2, min_column_width=320, gap="medium", key="device-charts"):
        for title, key, maybe in charts:
            drawn = [one for one in maybe if one is not None and np.isfinite(one.y).any()]
            if drawn:
                figure = line_figure(drawn, x_title=unit, axis=f"{seconds:.0f}", revision=key)
                figure["layout"]["xaxis"]["range"] = [-seconds / scale, 0]  # all of the time that was asked for
                figure["layout"]["yaxis"]["rangemode"] = "tozero"
                live_chart(title, figure, key=f"devices.{key}.{seconds:.0f}")

"""`lathe devices …`: what this host has, how busy it is, who uses it; keep GPUs or the host from new jobs."""

from __future__ import annotations

from dataclasses import asdict

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, plain, show, show_json, table
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.hosts import history, service
from platform_core.hosts.decisions import decisions
from platform_core.hosts.devices import Gpu, GpuProcess
from platform_core.hosts.place import this_host
from platform_core.jobs.service import current_user
from platform_core.workspace.service import Workspace

GIB = 2**30


@click.group("devices", cls=Commands, help="See GPUs, CPU, memory and who uses them; reserve a GPU, drain the host.")
def command() -> None:
    """A GPU is named by its number or its UUID."""


@command.command("list")
@verb
def list_(as_json: bool) -> None:
    """List the devices of this host as they were last sampled."""
    place = workspace()
    found = history.latest(place)
    if found is None:
        raise Problem("This host was not sampled yet: the supervisor does it; start it with lathe supervisor start.")
    seen, kept, drained = found.snapshot, service.reserved(place), service.drained(place)
    if as_json:
        more = {"age_seconds": round(found.age, 1), "fresh": found.fresh}
        show_json(history.to_json(seen) | more | {
            "reserved": {uuid: asdict(r) for uuid, r in kept.items()},
            "drained": None if drained is None else asdict(drained),
        })  # fmt: skip
        return
    if not found.fresh:
        show(f"Old numbers, of {ago(found.age)}: nobody samples this host now (lathe supervisor start).")
    cpu = "–" if seen.cpu is None else f"{seen.cpu:.0f} %"
    show(f"{plain(seen.host)}: CPU {cpu} of {seen.cores} cores, "
         f"{seen.memory_available / GIB:.1f} of {seen.memory_total / GIB:.1f} GiB of memory free, "
         f"{seen.disk_free / GIB:.1f} of {seen.disk_total / GIB:.1f} GiB of disk free")  # fmt: skip
    if drained is not None:
        show(plain(f"It starts no new jobs: {drained.actor} drained it {ago(now() - drained.since)}. {drained.reason}"))
    if seen.trouble:
        show(plain(f"Not all GPUs can be read: {seen.trouble}"))
    if seen.gpus:
        rows = [_row(gpu, gpu.uuid in kept) for gpu in seen.gpus]
        for line in table(["GPU", "NAME", "BUSY", "MEMORY GiB", "HEAT", "POWER", "USED BY"], rows):
            show(line)
    elif not seen.trouble:
        show("No NVIDIA GPU here: jobs run on the CPU.")


def _row(gpu: Gpu, is_reserved: bool) -> list[object]:
    told = [
        "–" if value is None else f"{value:.0f} {unit}"
        for value, unit in ((gpu.utilization, "%"), (gpu.temperature, "°C"), (gpu.power, "W"))
    ]
    who = ", ".join([_who(p) for p in gpu.processes] + (["reserved"] if is_reserved else []))
    memory = f"{gpu.memory_used / GIB:.1f} of {gpu.memory_total / GIB:.1f}"
    return [gpu.index, gpu.name, told[0], memory, told[1], told[2], plain(who)]


def _who(process: GpuProcess) -> str:
    if process.job_id:
        return f"job {process.job_id}"
    return f"{process.name} of {process.user}" if process.name else f"unknown process {process.pid}"


@command.command("reserve")
@click.argument("gpu", metavar="GPU")
@click.option("--reason", default="", help="What it is kept for.")
@verb
def reserve(gpu: str, reason: str, as_json: bool) -> None:
    """Give a GPU to no new job until it is released; a job that runs on it goes on."""
    place = workspace()
    made = service.reserve(place, _uuid(place, gpu), current_user(), reason)
    if as_json:
        show_json(asdict(made))
    else:
        show(plain(f"GPU {gpu} is reserved. Back: lathe devices release {gpu}"))


@command.command("release")
@click.argument("gpu", metavar="GPU")
@click.option("--reason", default="", help="Why it is given back.")
@verb
def release(gpu: str, reason: str, as_json: bool) -> None:
    """Give a reserved GPU back to jobs."""
    place = workspace()
    undone = service.release(place, _uuid(place, gpu), current_user(), reason)
    if as_json:
        show_json(None if undone is None else asdict(undone))
    else:
        show(plain(f"GPU {gpu} is free for jobs." if undone else f"GPU {gpu} was not reserved."))


@command.command("drain")
@click.option("--reason", default="", help="Why it takes no new jobs.")
@verb
def drain(reason: str, as_json: bool) -> None:
    """Start no new jobs on this host; those that run go on, those that wait stay in the queue."""
    made = service.drain(workspace(), this_host(), current_user(), reason)
    if as_json:
        show_json(asdict(made))
    else:
        show(plain(f"{made.host} starts no new jobs. Back: lathe devices undrain"))


@command.command("undrain")
@click.option("--reason", default="", help="Why it takes jobs again.")
@verb
def undrain(reason: str, as_json: bool) -> None:
    """Let this host start jobs again."""
    undone = service.undrain(workspace(), this_host(), current_user(), reason)
    if as_json:
        show_json(None if undone is None else asdict(undone))
    else:
        show("This host starts jobs." if undone else "This host was not drained.")


@command.command("decisions")
@verb
def list_decisions(as_json: bool) -> None:
    """Who reserved, released, drained and undrained, newest first."""
    place = workspace()
    made = decisions(place)
    if as_json:
        show_json([asdict(one) for one in made])
        return
    found = history.latest(place)
    numbers = {gpu.uuid: f"GPU {gpu.index}" for gpu in found.snapshot.gpus} if found is not None else {}
    rows = [[ago(now() - d.time), d.actor, d.verb, numbers.get(d.gpu, d.gpu), plain(d.reason)] for d in made]
    for line in table(["WHEN", "WHO", "WHAT", "WHICH", "REASON"], rows):
        show(line)
    if not rows:
        show("Nobody reserved or drained anything here.")


def _uuid(place: Workspace, gpu: str) -> str:
    found = history.latest(place)
    gpus = found.snapshot.gpus if found is not None else ()
    for one in gpus:
        if gpu in (one.uuid, str(one.index)):
            return one.uuid
    if gpu in service.reserved(place):  # one that is gone can still be released
        return gpu
    raise Problem(
        "There is no GPU {gpu} here: lathe devices list names those that there are ({n}).", gpu=gpu, n=len(gpus)
    )

"""What a refresh costs while many people watch one live run: `python -m benchmarks.viewers`. Wall and server CPU time.

Starts `lathe serve` on a workspace of its own, writes a run of twenty metrics at ten steps a second, and holds sessions
on the monitor as browsers do (the WebSocket protocol of Streamlit, no Chromium): each asks for its refresh when two
seconds have passed since the last one. The target is p95 of at most one second for twenty sessions on two cores.
"""

import argparse
import asyncio
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from platform_core.clock import now
from platform_core.database.engine import writing
from platform_core.files import write_json
from platform_core.ids import new_id
from platform_core.jobs import processes, store, supervision
from platform_core.jobs import service as jobs
from platform_core.jobs.folder import metrics_file
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import Workspace, open_workspace

EVERY = 2.0
METRICS = ["loss", "mean_token_accuracy", "grad_norm", "learning_rate", *(f"metric_{at}" for at in range(16))]
Refresh = tuple[float, int]
"""Seconds and bytes of one refresh."""


def running_job(workspace: Workspace) -> str:
    """A row that says that a training runs, and a card that says that we are its supervisor: none other starts."""
    write_json(workspace.home / supervision.CARD, {**asdict(processes.me()), "started_at": now()})
    at, made = now(), new_id()
    row = {
        "id": made, "name": "A live run", "kind": "sft", "engine": "hf", "spec": {}, "spec_hash": "0" * 64,
        "state": "running", "since": at, "owner": "benchmark", "priority": 0, "cpu_slots": 1, "attempt": 1,
        "created_at": at, "started_at": at,
    }  # fmt: skip
    with writing(workspace.engine) as connection:
        store.insert_job(connection, row, (), "benchmark")
        store.add_attempt(
            connection, job_id=made, number=1, host="elsewhere", interpreter="python", command=[], threads=1,
            launched_at=at,
        )  # fmt: skip
    workspace.job_folder(made).mkdir(parents=True)
    return made


def write(path: Path, before: int, ended: Event) -> None:
    """A run with `before` steps behind it that goes on at ten steps a second."""
    with Writer(path) as writer:
        step = 0
        while not ended.is_set():
            values = {name: math.exp(-step / 3000) + 0.1 * math.sin(step * (at + 1)) for at, name in enumerate(METRICS)}
            writer.metrics(step, values)
            step += 1
            if step < before:
                continue
            writer.progress(step=step, total_steps=100_000, phase="running")
            ended.wait(0.1)


async def refreshed(
    socket: websockets.ClientConnection, query: str, fragment: str | None
) -> tuple[Refresh, str | None]:
    """Ask for one run of the page, or of its fragment, and take all that comes."""
    asked = BackMsg()
    asked.rerun_script.query_string, asked.rerun_script.page_name = query, "monitor"
    if fragment is not None:
        asked.rerun_script.fragment_id = fragment
    began, size = time.perf_counter(), 0
    await socket.send(asked.SerializeToString())
    while True:
        raw = await asyncio.wait_for(socket.recv(decode=False), 120)
        size += len(raw)
        told = ForwardMsg()
        told.ParseFromString(raw)
        kind = told.WhichOneof("type")
        if kind == "auto_rerun":
            fragment = told.auto_rerun.fragment_id
        if kind == "script_finished":
            return (time.perf_counter() - began, size), fragment


async def session(address: str, query: str, wait: float, rounds: int, seen: list[Refresh]) -> None:
    """One reader's browser."""
    await asyncio.sleep(wait)
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None, compression=None) as socket:  # type: ignore[list-item]
        _first, fragment = await refreshed(socket, query, None)
        if fragment is None:
            raise RuntimeError("The monitor is not live: its page asks for no refresh.")
        for _round in range(rounds):
            await asyncio.sleep(EVERY)
            found, _ = await refreshed(socket, query, fragment)
            seen.append(found)


async def watch(address: str, query: str, sessions: int, rounds: int, server: psutil.Process) -> str:
    """All sessions at once; what one refresh took."""
    seen: list[Refresh] = []
    began, used = time.perf_counter(), sum(server.cpu_times()[:2])
    await asyncio.gather(*(session(address, query, EVERY * i / sessions, rounds, seen) for i in range(sessions)))
    lasted, used = time.perf_counter() - began, sum(server.cpu_times()[:2]) - used
    times = sorted(seconds for seconds, _size in seen)
    p95 = times[math.ceil(0.95 * len(times)) - 1]
    return (
        f"{sessions} sessions, {len(times)} refreshes: p50 {statistics.median(times):.3f} s, p95 {p95:.3f} s, longest"
        f" {times[-1]:.3f} s; server CPU {100 * used / lasted:.0f} % of a core,"
        f" {1000 * used / (len(times) + sessions):.0f} ms a refresh;"
        f" {statistics.mean(size for _seconds, size in seen) / 1000:.0f} kB; load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--before", type=int, default=5_000, help="steps of the run when the first session comes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, output, ended = Path(folder) / "workspace", Path(folder) / "server.log", Event()
        workspace = open_workspace(home)
        made = running_job(workspace)
        writer = Thread(target=write, args=(metrics_file(workspace, jobs.get(workspace, made)), chosen.before, ended))
        writer.start()
        environment = {**os.environ, "PLATFORM_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
        with output.open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            while not (found := re.search(r"http://(\S+)", output.read_text())):
                time.sleep(0.2)
            address = f"ws://{found[1].rstrip(')')}/_stcore/stream"
            for sessions in chosen.sessions:
                told = asyncio.run(watch(address, f"job={made}", sessions, chosen.rounds, psutil.Process(server.pid)))
                print(told, flush=True)
        finally:
            ended.set()
            writer.join()
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()

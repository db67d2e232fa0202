"""kill -9 of the web server, its supervisor, the warm parent, keepers and runners while real models train.

`LATHE_KILL_ROUNDS` rounds (default 20) from `LATHE_KILL_SEED` (default 0), as in test_kills.py. Each round pretrains a
tiny Llama from scratch with checkpoints every few steps, fine-tunes it, and kills at random moments; whoever dies is
started again as a person would: `lathe serve`, and `lathe jobs start` for what failed. In the end all is whole.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from platform_core.clock import monotonic
from platform_core.datasets.receive import write_jsonl
from platform_core.files import read_json
from platform_core.jobs import processes, service, supervision
from platform_core.jobs.states import ENDED, NEXT
from platform_core.jobs.store import Job
from platform_core.models.service import read_model
from runners.engines.hf import checkpoint

from .stage import ROOT, Stage, kill

ROUNDS = int(os.environ.get("LATHE_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("LATHE_KILL_SEED", "0"))
SPAN_SECONDS = 2.5
TARGETS = ("web server", "supervisor", "warm parent", "keeper", "runner", "runner")


class Site(Stage):
    """A workspace behind a real web server, which sees to its supervisor."""

    web: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        if self.web is not None and self.web.poll() is None:
            return
        with (self.home / "web.log").open("ab") as log:
            command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
            self.web = subprocess.Popen(command, env=self.environment(), cwd=ROOT, stdout=log, stderr=log)

    def find(self, target: str) -> list[int]:
        """The processes that are called so now."""
        own = self.own_processes()
        if target == "web server":
            return [pid for pid, command in own.items() if "app.cli serve" in command]
        if target == "supervisor":
            return [pid for pid, command in own.items() if "runners.supervisor" in command]
        pairs = [self.attempt(job).read_processes() for job in service.list_jobs(self.workspace)]
        alive = [p for p in pairs if p is not None and processes.alive(p.runner)]
        if target == "warm parent":
            kept = {p.keeper.pid for p in alive} | {p.runner.pid for p in alive}
            return [pid for pid, command in own.items() if "runners.warm" in command and pid not in kept]
        chosen = [p.keeper if target == "keeper" else p.runner for p in alive]
        return [identity.pid for identity in chosen if processes.alive(identity)]

    def services(self) -> set[int]:
        return {*self.find("web server"), *self.find("supervisor"), *self.find("warm parent")}


def make_jobs(site: Site, seed: int, tokenizer: Job) -> list[Job]:
    common = {"seed": seed, "cpu_slots": 1, "save_every": 3, "batch_size": 4, "max_length": 32}
    size = {"hidden_size": 16, "layers": 1, "heads": 2, "kv_heads": 2, "intermediate_size": 32}
    values = {**common, **size, "dataset": "texts.jsonl", "tokenizer": f"job:{tokenizer.id}", "max_steps": 200}
    base = service.create(site.workspace, "pretrain", values, name=f"base {seed}", start=True)
    values = {**common, "dataset": "sums.jsonl", "model": f"job:{base.id}", "max_steps": 60}
    return [base, service.create(site.workspace, "sft", values, name=f"taught {seed}", start=True)]


def play(site: Site, seed: int, hits: Counter[str]) -> None:
    """Up to four kills at random moments; the web server is started again when it was hit."""
    dice = random.Random(seed)
    began = monotonic()
    for at in sorted(dice.uniform(0, SPAN_SECONDS) for _ in range(dice.randint(1, 4))):
        Event().wait(max(0.0, began + at - monotonic()))
        target = dice.choice(TARGETS)
        found = site.find(target)
        if found:
            kill(dice.choice(sorted(found)))
            hits[target] += 1
        site.serve()


def bring_to_an_end(site: Site, jobs: list[Job]) -> None:
    """Start again what failed, until all is completed; a job that was hit goes on from its last whole checkpoint."""
    for _ in range(10):
        supervision.ensure(site.home)
        for job in jobs:
            site.wait_for(job, seconds=120)
            told_the_truth(site, job)
        failed = [j for j in jobs if site.state(j) == "failed"]
        if not failed:
            return
        for job in failed:
            service.start(site.workspace, job.id)
    raise AssertionError(f"still failing after ten starts: {[str(site.get(j).reason) for j in failed]}")


def told_the_truth(site: Site, job: Job) -> None:
    job = site.get(job)
    folder = site.workspace.job_folder(job.id)
    result = read_json(folder / "result.json")
    ended_so = result is not None and result["attempt"] == job.attempt and result["status"] == "completed"
    assert job.state in ENDED
    assert (job.state == "completed") == ended_so, (job, result)
    assert job.state == "completed" or str(job.reason), job
    assert not [p for p in folder.glob(".output*") if p.name.endswith(".part")], list(folder.iterdir())
    for path in (folder / "checkpoints").glob("step-*"):
        assert checkpoint.is_whole(path, int(path.name.removeprefix("step-"))), path
    _, changes = service.history(site.workspace, job.id)
    for before, after in pairwise(changes):
        assert after.from_state == before.to_state
        assert after.to_state in NEXT[before.to_state]
    if job.state == "completed":
        info = read_model(folder / "output", "", "", None)
        assert info is not None
        assert info.parameters
        assert info.has_tokenizer


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_real_trainings_survive_whatever_is_killed(tmp_path: Path) -> None:
    site = Site(tmp_path / "home", {"LATHE_WARM": "1", "LATHE_STOP_GRACE": "2"})
    try:
        write_jsonl(site.workspace.datasets / "texts.jsonl", [{"text": f"{i} and {i} is {2 * i}"} for i in range(200)])
        rows = [{"prompt": f"{i}+{i}=", "completion": str(2 * i)} for i in range(100)]
        write_jsonl(site.workspace.datasets / "sums.jsonl", rows)
        site.serve()
        tokenizer = service.create(site.workspace, "tokenizer", {"dataset": "texts.jsonl"}, start=True)
        assert site.wait_for(tokenizer, seconds=120).state == "completed"
        hits, attempts = Counter[str](), 0
        for seed in range(SEED, SEED + ROUNDS):
            print(f"round with seed {seed}", flush=True)
            jobs = make_jobs(site, seed, tokenizer)
            play(site, seed, hits)
            bring_to_an_end(site, jobs)
            site.until(lambda: set(site.own_processes()) <= site.services())
            attempts += sum(site.get(j).attempt for j in jobs)
        print(f"{ROUNDS} rounds from seed {SEED}: killed {dict(hits)}, {attempts} attempts for {2 * ROUNDS} jobs")
        assert ROUNDS < 10 or set(TARGETS) <= set(hits)
    finally:
        site.close()
        if site.web is not None:
            site.web.wait(20)

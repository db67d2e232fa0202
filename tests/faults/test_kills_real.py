"""kill -9 of the web server, its supervisor, the warm parent, keepers and runners while real models train.

A tenth of `LATHE_KILL_ROUNDS` rounds, at least one, from `LATHE_KILL_SEED`, as in test_kills.py. Each round pretrains a
tiny Llama from scratch with checkpoints every few steps, fine-tunes it, and kills at random moments. Web server and
supervisor are started again as a person would; the jobs end completed by themselves, and every step's loss, gradient
norm and learning rate is bit for bit that of a run that nobody disturbed.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from platform_core.clock import monotonic
from platform_core.files import read_json
from platform_core.jobs import processes, service, supervision
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ENDED, NEXT
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader
from platform_core.models.service import read_model
from runners.engines.hf import checkpoint
from tests.integration.supervisor.stage import ROOT, Stage, kill
from tests.rows import write_rows

from . import truth as checks
from .truth import each_step_once, processes_are_told

ROUNDS, SEED = max(1, checks.ROUNDS // 10), checks.SEED
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


def make_jobs(site: Site, tokenizer: Job, name: str) -> list[Job]:
    common = {
        "retries": 50,
        "retry_wait_seconds": 0.1,
        "cpu_slots": 1,
        "save_every": 3,
        "batch_size": 4,
        "max_length": 32,
    }
    size = {"hidden_size": 16, "layers": 1, "heads": 2, "kv_heads": 2, "intermediate_size": 32}
    values = {**common, **size, "dataset": "texts.jsonl", "tokenizer": f"job:{tokenizer.id}", "max_steps": 200}
    base = service.create(site.workspace, "pretrain", values, name=f"base {name}", start=True)
    values = {**common, "dataset": "sums.jsonl", "model": f"job:{base.id}", "max_steps": 60}
    return [base, service.create(site.workspace, "sft", values, name=f"taught {name}", start=True)]


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
    """Wait until all are completed; nobody starts a job again."""
    supervision.ensure(site.home)
    for job in jobs:
        site.until(lambda job=job: site.state(job) in ("completed", "stopped"), 600)
        told_the_truth(site, job)
        assert site.state(job) == "completed", site.get(job).reason


def measured(site: Site, job: Job) -> dict[str, tuple[list[int], list[float]]]:
    """Every step of what must not depend on kills, with its value."""
    with Reader(metrics_file(site.workspace, job)) as run:
        columns = {name: run.points(name) for name in ("loss", "grad_norm", "learning_rate")}
    return {name: (steps.tolist(), values.tolist()) for name, (steps, values) in columns.items()}


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


@pytest.mark.timeout(900 + 120 * ROUNDS)
def test_real_trainings_survive_whatever_is_killed(tmp_path: Path) -> None:
    site = Site(tmp_path / "home", {"LATHE_WARM": "1", "LATHE_STOP_GRACE": "2"})
    try:
        write_rows(site.workspace.datasets / "texts.jsonl", [{"text": f"{i} and {i} is {2 * i}"} for i in range(200)])
        rows = [{"prompt": f"{i}+{i}=", "completion": str(2 * i)} for i in range(100)]
        write_rows(site.workspace.datasets / "sums.jsonl", rows)
        site.serve()
        tokenizer = service.create(site.workspace, "tokenizer", {"dataset": "texts.jsonl"}, start=True)
        assert site.wait_for(tokenizer, seconds=600).state == "completed"
        undisturbed = make_jobs(site, tokenizer, "undisturbed")
        bring_to_an_end(site, undisturbed)
        expected = [measured(site, job) for job in undisturbed]
        assert len(expected[0]["loss"][0]) >= 20
        hits, attempts = Counter[str](), 0
        for seed in range(SEED, SEED + ROUNDS):
            print(f"round with seed {seed}; killed so far {dict(hits)}", flush=True)
            jobs = make_jobs(site, tokenizer, str(seed))
            play(site, seed, hits)
            bring_to_an_end(site, jobs)
            site.until(lambda: set(site.own_processes()) <= site.services())
            processes_are_told(site)
            assert [measured(site, job) for job in jobs] == expected
            for job in jobs:
                each_step_once(site, job)
            attempts += sum(site.get(j).attempt for j in jobs)
        print(f"{ROUNDS} rounds from seed {SEED}: killed {dict(hits)}, {attempts} attempts for {2 * ROUNDS} jobs")
        assert ROUNDS < 10 or set(TARGETS) <= set(hits)
    finally:
        site.close()
        if site.web is not None:
            site.web.wait(20)

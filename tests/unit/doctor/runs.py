"""Seeded runs for the doctor, written by the real Writer: what is usual, and one fault at a time on top of it.

The curves follow real ones: of the demo's pretraining (loss 5.8 to 1.2 in 100 steps, noise of the log loss 3 %,
gradient norm near 1 with single points at 10), its SFT (4.0 to 0.1, noise 8 %) and its GRPO (reward 0.59 to 0.91,
entropy 0.16 to 0.03, half of the groups without spread at the end, lengths 14 to 19 of 24, speed within 10 %).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from platform_core.algorithms.registry import algorithm
from platform_core.doctor.case import Case
from platform_core.errors import Text, text
from platform_core.hosts.devices import Gpu, Snapshot
from platform_core.jobs.states import State
from platform_core.jobs.store import Attempt, Job
from platform_core.metrics import writer as writer_module
from platform_core.metrics.writer import Writer

NOW = 1_800_000_000.0
NEVER = 1e6
GIB = 2**30
REFERENCES = {
    "pretrain": {"tokenizer": "tokenizer", "dataset": "texts.jsonl"},
    "sft": {"model": "base", "dataset": "answers.jsonl"},
    "grpo": {"model": "sft", "dataset": "prompts.jsonl"},
}
Values = NDArray[np.float64]


@dataclass
class Story:
    """A run to be told: `curves` hold one value a logged step; `seconds` between two of them."""

    kind: str
    spec: dict[str, Any]
    curves: dict[str, Values]
    rng: np.random.Generator
    state: State = "running"
    reason: Text | None = None
    cause: str | None = None
    signal: int | None = None
    code: int | None = None
    log: list[str] = field(default_factory=list)
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    samples: Callable[[int], dict[str, Any]] | None = None
    norms: Callable[[int], dict[str, float]] | None = None
    snapshots: tuple[Snapshot, ...] = ()
    devices: list[str] = field(default_factory=list)
    seconds: Values | float = 1.0
    silent: float = 1.0
    phase: str = "running"

    @property
    def points(self) -> int:
        return max((len(v) for v in self.curves.values()), default=0)


def job_of(kind: str, spec: dict[str, Any], state: State, *, step: int = 0, **more: Any) -> Job:
    """The row of a job with resolved settings."""
    resolved = algorithm(kind).spec.model_validate({**REFERENCES.get(kind, {}), **spec}).model_dump(mode="json")
    empty: dict[str, Any] = dict.fromkeys(("group_name", "deleted_at", "finished_at"))
    values: dict[str, Any] = {"latest": {}, "sparkline": [], "result": {}, "reason": None, "attempt": 1} | empty
    values |= {"progress": {"step": step, "total_steps": resolved["max_steps"], "phase": "running"}}
    return Job(
        **{
            **values,
            "id": "0" * 12,
            "name": "run",
            "kind": kind,
            "engine": "hf",
            "spec": resolved,
            "spec_hash": "",
            "state": state,
            "since": NOW,
            "owner": "me",
            "priority": 3,
            "cpu_slots": 1,
            "created_at": NOW - 1e5,
            "started_at": NOW - 9e4,
            **more,
        }
    )


def attempt_of(**more: Any) -> Attempt:
    values: dict[str, Any] = dict.fromkeys(
        ("pid", "pid_started", "boot_id", "ended_at", "exit_code", "signal", "outcome")
    )
    values |= {"job_id": "0" * 12, "number": 1, "host": "elsewhere", "interpreter": "python", "command": []}
    return Attempt(**{**values, "threads": 1, "launched_at": NOW - 9e4, **more})


def tell(story: Story, folder: Path) -> Case:
    """Write the story as a runner would have, and make the case of it."""
    folder.mkdir(parents=True)
    every = int(story.spec.get("logging_steps", 1))
    steps = every * np.arange(1, story.points + 1)
    gaps = np.broadcast_to(np.asarray(story.seconds, "f8"), (story.points,))
    times = NOW - story.silent - np.concatenate([np.cumsum(gaps[::-1])[::-1][1:], [0.0]])[: story.points]
    clock = mock.Mock(return_value=NOW - 1e4)
    with mock.patch.object(writer_module, "now", clock), Writer(folder / "metrics.sqlite", every=NEVER) as out:
        for kind, said, data in story.events:
            out.event(kind, said, level="warning", **data)
        for at, step in enumerate(steps.tolist()):
            clock.return_value = float(times[at])
            out.metrics(step, {n: float(v[at]) for n, v in story.curves.items() if at < len(v) and v[at] is not None})
            if story.norms is not None:
                norms = story.norms(at)
                out.vector("grad_norm", step, list(norms), list(norms.values()))
            if story.samples is not None and (at < 20 or at > story.points - 20):
                out.sample(step, **story.samples(at))
        out.progress(step=int(steps[-1]) if len(steps) else 0, total_steps=10**6, phase=story.phase)
    (folder / "log.txt").write_text("\n".join(story.log) + "\n")
    job = job_of(story.kind, story.spec, story.state, step=int(steps[-1]) if len(steps) else 0, reason=story.reason)
    ended = {"exit_code": story.code, "signal": story.signal, "cause": story.cause, "devices": story.devices}
    return Case(
        job=job,
        now=NOW,
        attempt=attempt_of(**ended),
        metrics=folder / "metrics.sqlite",
        log=folder / "log.txt",
        snapshot=story.snapshots[-1] if story.snapshots else None,
        history=story.snapshots,
    )


def supervised(seed: int, points: int | None = None, **spec: Any) -> Story:
    """A healthy pretraining or SFT of a random length, noise, schedule and distance between logged points."""
    rng = np.random.default_rng(seed)
    kind = str(spec.pop("kind", rng.choice(["pretrain", "sft"])))
    n = points or int(rng.integers(120, 1200))
    every = int(rng.choice([1, 1, 5, 10]))
    warmup = int(rng.choice([0, n * every // 20]))
    first, last = (5.8, 1.2) if kind == "pretrain" else (rng.uniform(1.2, 4.0), rng.uniform(0.1, 0.8))
    grid = np.arange(n)
    noise = rng.uniform(0.02, 0.08)
    loss = (last + (first - last) * np.exp(-grid / (n * rng.uniform(0.05, 0.2)))) * np.exp(noise * rng.normal(size=n))
    norm = (0.6 + np.exp(-grid / (n * 0.1))) * np.exp(0.2 * rng.normal(size=n))
    norm[rng.integers(0, n, size=3)] *= 6
    rate = np.minimum(1.0, (grid + 1) * every / max(1, warmup)) * (1 - grid / n)
    speed = 20_000 * np.exp(0.06 * rng.normal(size=n))
    speed[0] /= 4
    settings = {"learning_rate": 5e-3, "max_steps": n * every, "logging_steps": every, "warmup_steps": warmup, **spec}
    curves = {"loss": loss, "grad_norm": norm, "learning_rate": rate * float(settings["learning_rate"])}
    curves |= {"tokens_per_second": speed, "mean_token_accuracy": 1 - loss / 8}
    return Story(kind, settings, curves, rng, seconds=rng.uniform(0.05, 5))


def reinforced(seed: int, points: int | None = None, **spec: Any) -> Story:
    """A healthy GRPO run of a random length with a noisy reward."""
    rng = np.random.default_rng(seed)
    n = points or int(rng.integers(40, 500))
    grid = np.arange(n) / n
    first, last = rng.uniform(0.1, 0.6), rng.uniform(0.65, 0.92)
    noise = rng.uniform(0.02, 0.08)
    reward = np.clip(last + (first - last) * np.exp(-4 * grid) + noise * rng.normal(size=n), 0, 1)
    length = 200 * (1 + 0.4 * grid) * np.exp(0.05 * rng.normal(size=n))
    curves = {
        "loss": 0.02 * rng.normal(size=n),
        "reward": reward,
        "reward_std": 0.45 - 0.2 * grid + 0.02 * rng.normal(size=n),
        "frac_reward_zero_std": np.clip(0.5 * grid + 0.05 * rng.normal(size=n), 0, 1),
        "entropy": 0.5 * np.exp(-1.6 * grid) * np.exp(0.1 * rng.normal(size=n)),
        "kl": 0.05 * grid * np.exp(0.2 * rng.normal(size=n)),
        "completions/mean_length": length,
        "completions/clipped_ratio": np.clip(0.02 * rng.normal(size=n), 0, 1),
        "grad_norm": 0.6 * np.exp(0.25 * rng.normal(size=n)),
        "learning_rate": np.full(n, 2e-6),
        "tokens_per_second": 8000 * np.exp(0.1 * rng.normal(size=n)),
    }
    settings = {"learning_rate": 2e-6, "max_steps": n, "batch_size": 32, "num_generations": 8, "kl_coef": 0.01}
    settings |= {"max_completion_length": 1024, **spec}
    words = [f"word{n}" for n in range(40)]

    def sample(at: int) -> dict[str, Any]:
        draw = random.Random(seed * 1000 + at)
        return {"prompt": f"{at}+1=", "completion": " ".join(draw.sample(words, 12)), "reward": float(reward[at])}

    return Story("grpo", settings, curves, rng, samples=sample, seconds=rng.uniform(1, 20))


def snapshots(count: int = 12, every: float = 30.0, **gpu: Any) -> tuple[Snapshot, ...]:
    """A host with one busy GPU, sampled until now."""
    one = Gpu("GPU-1", 0, "H200", 140 * GIB, 60 * GIB, 92.0, 68.0, 600.0, 700.0)
    host = Snapshot("box", NOW, (replace(one, **gpu),), 64, 20.0, 3.0, 256 * GIB, 120 * GIB, 2000 * GIB, 700 * GIB)
    return tuple(replace(host, time=NOW - every * (count - 1 - at)) for at in range(count))


def failed(story: Story, cause: str, reason: Text, *log: str, code: int | None = 1, signal: int | None = None) -> Story:
    said = [f"2026-01-01 10:00:0{at} INFO lathe.train: step {at}/100 loss=2.1" for at in range(5)]
    return replace(story, state="failed", cause=cause, reason=reason, code=code, signal=signal, log=[*said, *log])


def traceback(*frames: str, error: str) -> list[str]:
    lines = [f'  File "/srv/lathe/{frame}", line 12, in work' for frame in frames]
    return ["2026-01-01 10:00:06 ERROR lathe.runner: Traceback (most recent call last):", *lines, error]


def broke(kind: str, message: str) -> Text:
    return text("The program broke with {kind}: {message}. The log has the details.", kind=kind, message=message)

"""One function a fault: a healthy run and what that fault does to it; the seed decides kind, length and strength."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from platform_core.errors import text

from .runs import GIB, Story, broke, failed, reinforced, snapshots, supervised, traceback

Fault = Callable[[int], Story]


def nan_loss(seed: int) -> Story:
    story = supervised(seed)
    at = story.points - 1 - seed % 3
    story.curves["loss" if seed % 2 else "grad_norm"][at:] = np.nan if seed % 3 else np.inf
    return story


def loss_spike(seed: int) -> Story:
    story = supervised(seed)
    at, wide = story.points - int(story.rng.integers(15, 60)), int(story.rng.integers(4, 12))
    story.curves["loss"][at : at + wide] *= story.rng.uniform(2.5, 6)
    return story


def plateau(seed: int) -> Story:
    story = supervised(seed)
    n = story.points
    story.curves["loss"] = story.rng.uniform(2, 6) * np.exp(0.05 * story.rng.normal(size=n))
    return story


def overfitting(seed: int) -> Story:
    story = supervised(seed)
    n = story.points
    evals = np.full(n, np.nan)
    at = np.linspace(n // 12, n - 1, 12).astype(int)
    least = story.rng.integers(3, 7)
    evals[at] = 1.0 + 0.06 * np.maximum(0, np.arange(12) - least) + 0.2 * np.maximum(0, least - np.arange(12))
    evals[at] *= np.exp(0.005 * story.rng.normal(size=12))
    story.curves["eval_loss"] = np.where(np.isnan(evals), None, evals)  # type: ignore[arg-type]
    return story


def kl_blow_up(seed: int) -> Story:
    story = reinforced(seed)
    n = story.points
    late = np.arange(n) - int(0.7 * n)
    story.curves["kl"] += np.where(late > 0, story.rng.uniform(2, 30) * late / late.max(), 0)
    if seed % 2:
        story.curves["reward"] *= np.where(late > 0, np.exp(-2 * late / late.max()), 1)
    return story


def entropy_collapse(seed: int) -> Story:
    story = reinforced(seed)
    n = story.points
    story.curves["entropy"] = 0.6 * np.exp(-np.arange(n) / n * story.rng.uniform(4, 9))
    story.curves["reward"] = 0.3 + 0.03 * story.rng.normal(size=n)
    if seed % 2:
        story.curves["frac_reward_zero_std"][n // 2 :] = 0.97
    return story


def reward_collapse(seed: int) -> Story:
    story = reinforced(seed)
    n = story.points
    story.curves["reward"][int(n * 0.75) :] *= story.rng.uniform(0.02, 0.4)
    return story


def reward_hacking(seed: int) -> Story:
    story = reinforced(seed, kl_coef=0.0)
    n = story.points
    story.curves["reward"] = 0.2 + 0.6 * np.arange(n) / n + 0.05 * story.rng.normal(size=n)
    if seed % 2:
        growth = story.rng.uniform(4, 6)
        story.curves["completions/mean_length"] *= np.exp(np.log(growth) * np.arange(n) / n * 1.1)
        if seed % 4 == 1:
            story.curves["completions/clipped_ratio"][int(n * 0.8) :] = 0.8
        return story
    before = story.samples
    assert before is not None
    again = {"completion": "the answer is right " * 15}
    return replace(story, samples=lambda at: before(at) | (again if at > n // 2 else {}))


def zero_reward_spread(seed: int) -> Story:
    story = reinforced(seed)
    n = story.points
    begin = 0 if seed % 2 else n // 3
    story.curves["reward"][begin:] = 0.0 if seed % 3 else 0.3
    level = float(story.curves["reward"][-1])
    story.curves["frac_reward_zero_std"][begin:] = 1.0
    if not seed % 2:
        story.curves["reward"][:begin] = level + 0.05 * story.rng.normal(size=begin)
    story.curves["grad_norm"][begin:] = 0.0
    return replace(story, norms=lambda at: {"embed_tokens": 0.0, "layer.0": 0.0, "norm": 0.0})


def truncated_completions(seed: int) -> Story:
    story = reinforced(seed)
    n = story.points
    story.curves["completions/clipped_ratio"] = np.clip(
        story.rng.uniform(0.6, 1.1) + 0.04 * story.rng.normal(size=n), 0, 1
    )
    story.curves["completions/mean_length"] = 1024 - 5 * story.rng.random(size=n)
    story.curves["reward"] *= 0.1
    story.curves["frac_reward_zero_std"][:] = 0.95 if seed % 2 else 0.5
    return story


def gradient_explosion(seed: int) -> Story:
    story = supervised(seed)
    n = story.points
    at = n - int(story.rng.integers(8, 25))
    story.curves["grad_norm"][at:] *= story.rng.uniform(40, 2000)
    if seed % 2:
        story.curves["loss"][at + 3 :] *= 3
    return story


def gradient_layers(seed: int) -> Story:
    story = supervised(seed)
    rng, blocks = random.Random(seed), 6

    def norms(at: int) -> dict[str, float]:
        even = {f"layer.{b}": rng.uniform(0.5, 1.5) for b in range(blocks)}
        if seed % 2:
            return even | {"embed_tokens": 1.0, f"layer.{seed % blocks}": 1e-9}
        return {name: value * 10 ** (-0.7 * (blocks - 1 - b)) for b, (name, value) in enumerate(even.items())}

    return replace(story, norms=norms)


def no_progress(seed: int) -> Story:
    story = supervised(seed) if seed % 2 else reinforced(seed)
    if seed % 3 == 0:
        return replace(story, curves={}, silent=4000.0, phase="loading the model")
    return replace(story, silent=20 * float(np.max(story.seconds)) + story.rng.uniform(200, 5000))


def learning_rate(seed: int) -> Story:
    story = supervised(seed, kind="sft", warmup_steps=0)
    n = story.points
    grid = np.arange(n)
    if seed % 2:
        story.spec |= {"learning_rate": 0.5}
        story.curves["loss"] = 3.0 + story.rng.uniform(2, 6) * (1 - np.exp(-grid / 10)) + 0.2 * story.rng.normal(size=n)
        story.curves["grad_norm"] *= 1 + 30 * (1 - np.exp(-grid / 10))
        return story
    story.spec |= {"learning_rate": 1e-8}
    story.curves["loss"] = 2.2 * np.exp(0.04 * story.rng.normal(size=n))
    return story


def throughput(seed: int) -> Story:
    story = supervised(seed)
    slow = int(story.rng.integers(20, 40))
    factor = story.rng.uniform(3.5, 8)
    story.curves["tokens_per_second"][-slow:] /= factor
    return replace(story, seconds=np.where(np.arange(story.points) < story.points - slow, 5.0, 5.0 * factor))


def gpu_idle(seed: int) -> Story:
    story = supervised(seed)
    idle = float(story.rng.uniform(0, 7))
    return replace(story, snapshots=snapshots(utilization=idle), devices=["GPU-1"])


def gpu_hot(seed: int) -> Story:
    story = supervised(seed)
    return replace(story, snapshots=snapshots(temperature=float(story.rng.uniform(86, 97))), devices=["GPU-1"])


def memory_low(seed: int) -> Story:
    story = supervised(seed)
    free = int(story.rng.uniform(0.5, 10) * GIB)
    return replace(story, snapshots=tuple(replace(s, memory_available=free) for s in snapshots()))


def disk_low(seed: int) -> Story:
    story = supervised(seed)
    free = int(story.rng.uniform(0.1, 15) * GIB)
    return replace(story, snapshots=tuple(replace(s, disk_free=free) for s in snapshots()))


def gpu_memory(seed: int) -> Story:
    story = supervised(seed, points=30) if seed % 2 else reinforced(seed, points=25)
    error = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has 79.10 GiB in total"
    lines = traceback("torch/nn/modules/linear.py", error=error)
    return failed(story, "gpu_taken" if seed % 3 == 0 else "gpu_out_of_memory", text("Memory ran out: …"), *lines)


def out_of_memory(seed: int) -> Story:
    story = supervised(seed)
    if seed % 2:
        said = text("The machine ran out of memory and its kernel killed the runner: …")
        return failed(story, "out_of_memory", said, code=None, signal=9)
    lines = traceback("torch/_ops.py", error="RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory")
    return failed(story, "out_of_memory" if seed % 4 else "error", broke("RuntimeError", "alloc"), *lines)


def disk_full(seed: int) -> Story:
    story = supervised(seed)
    lines = traceback("runners/engines/hf/checkpoint.py", error="OSError: [Errno 28] No space left on device")
    return failed(story, "disk_full" if seed % 2 else "error", text("The disk is full: …"), *lines)


def killed(seed: int) -> Story:
    story = supervised(seed)
    number = [9, 15, 1][seed % 3]
    return failed(story, "killed", text("The runner was killed from outside: …"), code=None, signal=number)


def crashed(seed: int) -> Story:
    story = supervised(seed)
    said = text("The runner crashed with a segmentation fault (SIGSEGV), …")
    return failed(
        story, "crashed", said, "Fatal Python error: Segmentation fault", code=None, signal=[11, 7, 4][seed % 3]
    )


def missing_dependency(seed: int) -> Story:
    story = replace(supervised(seed), curves={})
    error = [
        "ModuleNotFoundError: No module named 'flash_attn'",
        "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
        "ImportError: Using the `Muon` optimizer requires `muon-opt`: pip install muon-opt",
    ][seed % 3]
    frames = ("runners/engines/hf/data.py", "datasets/load.py") if seed % 2 else ("transformers/utils/import_utils.py",)
    return failed(story, "error", broke(error.split(":")[0], error), *traceback(*frames, error=error))


def dataset_broken(seed: int) -> Story:
    story = supervised(seed)
    if seed % 3 == 0:
        error = "platform_core.errors.Problem: Row 12 of answers.jsonl is no JSON object: mend it."
        frames = ("runners/engines/hf/sft.py", "runners/engines/hf/data.py", "platform_core/datasets/rows.py")
        story = replace(story, curves={})
        return failed(
            story, "error", text("Row 12 of answers.jsonl is no JSON object."), *traceback(*frames, error=error)
        )
    kind = ["skipped_rows", "dropped_rows"][seed % 2]
    count = int(story.rng.integers(80, 900))
    return replace(story, events=[(kind, f"{count} rows were left out", {"count": count, "of": 1000})])


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(nan_loss, loss_spike, plateau, overfitting, kl_blow_up, entropy_collapse, reward_collapse, reward_hacking),
        *(zero_reward_spread, truncated_completions, gradient_explosion, gradient_layers, no_progress, learning_rate),
        *(throughput, gpu_idle, gpu_hot, memory_low, disk_low, gpu_memory, out_of_memory, disk_full, killed, crashed),
        *(missing_dependency, dataset_broken),
    )
}

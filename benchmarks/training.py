"""What a training step costs: each algorithm as a job of the platform against a bare TRL script of the same settings.

    python -m benchmarks.training [--pairs 7] [--steps 60] [--only dpo --only kto] [--gpu]

Both are forks of one warm parent, on one thread each, and take turns step by step: what else the machine does hits both
alike, as it would not two runs of seconds one after the other. Compared are the CPU seconds of the steps, all threads
counted; the job also reports metrics, gradient norms by layer and progress, and the bare script logs every step. Prints
the least costs, what the platform's own code took of it and its share of the script's step, the median of the rounds'
ratios with half their range, and the losses at the first step; before them the same of the bare script against itself,
which is how far the machine alone takes equal work apart. What learns from its own answers begins with a model that has
learned to answer.
With `--gpu` both train a fresh model of half a billion parameters in bfloat16 on the GPU, one after the other for its
memory, and compared is the time that a step takes from the fifth on; tokens a second, MFU and the most GPU memory of
both are printed, too.
What is compared stands in `trl_peers.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.overhead import forked, in_a_fork, losses, run_lathe, succeeded, write_job
from benchmarks.trl_peers import PEERS, Bare, Peer, Row
from platform_core.demo.data import write_datasets
from platform_core.demo.recipe import STAGE, stages
from platform_core.jobs.utilization import utilization
from platform_core.metrics.reader import Reader
from runners import programs

Run = Callable[..., int]
"""Trains in the folder, its first argument, and tells what the steps cost by `clock`, its last one."""


WARM = 4
"""Steps on a GPU that are not counted: the first ones choose kernels and take memory from the driver."""


def in_turns(mine: int, other: int, target: Path) -> None:
    """In the child: begin a step when a byte comes from pipe `mine` and end it with one to `other`; write the CPU
    seconds of all steps, each up to the beginning of the next."""
    from transformers import Trainer, TrainerCallback

    train = Trainer.train

    class Turn(TrainerCallback):
        began: float | None = None

        def on_step_begin(self, *_args: Any, **_more: Any) -> None:
            if self.began is not None:
                os.write(other, b".")
            os.read(mine, 1)
            if self.began is None:
                self.began = time.process_time()

        def on_train_end(self, *_args: Any, **_more: Any) -> None:
            assert self.began is not None
            target.write_text(str(time.process_time() - self.began))
            os.write(other, b".")

    def measured(self: Any, *args: Any, **more: Any) -> Any:
        self.add_callback(Turn())
        return train(self, *args, **more)

    Trainer.train = measured


def ours(target: Path) -> None:
    """In the child: write the CPU seconds of what the platform does in the steps beside the Trainer: the reward, its
    callbacks, what is shown of rollouts, and the thread that stores it all."""
    from transformers import Trainer

    from platform_core.metrics.writer import Writer
    from runners.engines.hf.reporting import Reporting
    from runners.engines.hf.rewards import JobReward
    from runners.engines.hf.rollout import Rollouts
    from runners.engines.hf.saving import Saving
    from runners.engines.hf.trainer import Finite

    train, spent = Trainer.train, [0.0]

    def clocked(owner: type, name: str) -> None:
        work = getattr(owner, name)

        def measured(*args: Any, **more: Any) -> Any:
            began = time.thread_time()
            try:
                return work(*args, **more)
            finally:
                spent[0] += time.thread_time() - began

        setattr(owner, name, measured)

    for owner, names in (
        (Writer, ("_store",)),
        (Reporting, ("on_pre_optimizer_step", "on_step_end", "on_log")),
        (Finite, ("on_pre_optimizer_step", "on_log")),
        (Saving, ("on_step_end",)),
        (Rollouts, ("_show", "credit")),
        (JobReward, ("__call__",)),
    ):
        for name in names:
            clocked(owner, name)

    def whole(self: Any, *args: Any, **more: Any) -> Any:
        spent[0] = 0.0
        try:
            return train(self, *args, **more)
        finally:
            target.write_text(str(spent[0]))

    Trainer.train = whole


def timed_steps(target: Path) -> None:
    """In the child: write the seconds of `Trainer.train()`, as if each step took what those after `WARM` took."""
    import torch
    from transformers import Trainer, TrainerCallback

    train, ends = Trainer.train, []

    class Clock(TrainerCallback):
        def on_step_end(self, *_args: Any, **_more: Any) -> None:
            torch.cuda.synchronize()
            ends.append(time.perf_counter())

    def measured(self: Any, *args: Any, **more: Any) -> Any:
        self.add_callback(Clock())
        done = train(self, *args, **more)
        target.write_text(str((ends[-1] - ends[WARM - 1]) / (len(ends) - WARM) * len(ends)))
        target.with_name("memory.txt").write_text(str(torch.cuda.max_memory_allocated()))
        return done

    Trainer.train = measured


@dataclass(frozen=True)
class Scale:
    """How big the model and the rows are, and on what both sides compute.

    `model`: settings of the start model's training. `sums` are in a row, which may be `longer` times as long.
    """

    spec: Row
    bare: Row
    model: Row
    sums: int = 1
    longer: int = 1
    unit: str = "least CPU ms a step"


COMMON: Row = {"learning_rate": 1e-4, "batch_size": 16, "seed": 0, "logging_steps": 1, "cpu_slots": 1}
CPU = Scale(COMMON, {"use_cpu": True, "bf16": False, "dataloader_pin_memory": False}, {})
WIDE: Row = {"hidden_size": 1280, "layers": 24, "heads": 20, "kv_heads": 20, "intermediate_size": 3456}
GPU = Scale(
    COMMON | {"device": "cuda", "dtype": "bfloat16", "batch_size": 32},
    {"bf16": True},
    WIDE | {"device": "cuda", "dtype": "bfloat16", "context_length": 1024, "max_steps": 2, "warmup_steps": 0},
    sums=32,
    longer=8,
    unit="least ms a step",
)


def run_bare(
    folder: Path, peer: Peer, spec: Row, scale: Scale, model: Path, rows: list[Row], clock: Callable[[Path], None]
) -> int:
    """The way of a person with TRL alone: load, train, keep the logs."""
    os.environ.update(programs.ENVIRONMENT)
    import torch
    from transformers import PrinterCallback

    torch.set_num_threads(1)
    folder.mkdir()
    clock(folder / "cost.txt")
    settings = {
        "output_dir": str(folder / "out"),
        **scale.bare,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "seed": spec["seed"],
        "max_steps": spec["max_steps"],
        "per_device_train_batch_size": spec["batch_size"],
        "learning_rate": spec["learning_rate"],
        "weight_decay": 0.01,
        **{name: spec[name] for name in peer.length},
        "logging_steps": spec["logging_steps"],
        "logging_first_step": True,
    }
    trainer = peer.trainer(Bare(model, rows, settings))
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    (folder / "losses.json").write_text(json.dumps([row["loss"] for row in trainer.state.log_history if "loss" in row]))
    return 0


def run_job(folder: Path, peer: Peer, spec: Row, paths: dict[str, Path], clock: Callable[[Path], None]) -> int:
    """The platform's way."""
    job = write_job(folder, peer.kind, spec, paths)
    ours(folder / "ours.txt")
    return run_lathe(job, clock)


TAUGHT = 300
"""Steps of SFT on the model that writes its own answers: some are right then, some are wrong."""


def start_models(home: Path, scale: Scale) -> dict[str, Path]:
    """The models that trainings begin with, by the demo's stage; on a GPU all begin with a wider one of `pretrain`."""
    names, done = write_datasets(home, 0), {}
    more: dict[str, Row] = {"tokenizer": {}, "pretrain": scale.model, "sft": {"max_steps": TAUGHT}}
    for stage in stages(0, names)[: 2 if scale is GPU else 3]:
        values = {name: str(stage.spec[name]) for name in ("dataset", "model", "tokenizer") if stage.spec.get(name)}
        paths = {
            name: done[value.removeprefix(STAGE)] if value.startswith(STAGE) else home / "datasets" / value
            for name, value in values.items()
        }
        program = __import__(
            f"runners.programs.{'tokenizer' if stage.kind == 'tokenizer' else 'train'}", fromlist=["main"]
        )
        job = write_job(home / stage.name, stage.kind, stage.spec | more[stage.name], paths)
        in_a_fork(partial(program.main, job), home / "log.txt")
        done[stage.name] = job / "output"
    return {"sft": done["pretrain"], **done}


def one_after_the_other(turn: list[tuple[Run, Path]], log: Path) -> None:
    """Run both, each alone."""
    for run, folder in turn:
        in_a_fork(partial(run, folder, clock=timed_steps), log)


def step_by_step(turn: list[tuple[Run, Path]], log: Path) -> None:
    """Run both at once, of which only one computes at any time; the first in `turn` begins."""
    pipes = [os.pipe() for _ in turn]
    os.write(pipes[0][1], b".")
    started = {
        forked(partial(run, folder, clock=partial(in_turns, pipes[at][0], pipes[1 - at][1])), log)
        for at, (run, folder) in enumerate(turn)
    }
    while started:
        pid, status = os.wait()
        started.remove(pid)
        if status:  # the other would wait for its turn for ever
            for left in started:
                os.kill(left, signal.SIGKILL)
        succeeded(status, log)
    for end in (end for pipe in pipes for end in pipe):
        os.close(end)


def compare(
    name: str, home: Path, models: dict[str, Path], scale: Scale, rounds: int, steps: int, with_itself: bool = False
) -> float:
    """Run the rounds of one algorithm and print its line; the median ratio of the job to the script.

    `with_itself`: the script takes the job's place, which shows what the machine alone makes of equal work.
    """
    peer, folder_name = PEERS[name], name.replace(" / ", "-")
    model = models[peer.start]
    length = {setting: most * scale.longer for setting, most in peer.length.items()}
    spec = scale.spec | peer.spec | length | {"max_steps": steps}
    rows, data = peer.rows(scale.sums), home / f"{folder_name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    paths = {**dict.fromkeys(peer.models, model), "dataset": data}
    written = spec | {field: str(path) for field, path in paths.items()}
    runs: dict[str, Run] = {
        "trl": partial(run_bare, peer=peer, spec=spec, scale=scale, model=model, rows=rows),
        "lathe": partial(run_job, peer=peer, spec=written, paths=paths),
    }
    if with_itself:
        runs["lathe"] = runs["trl"]
    cost: dict[str, list[float]] = {"trl": [], "lathe": []}
    own: list[float] = []
    for number in range(rounds + 1):
        folders = {side: home / f"{folder_name}-{side}-{number}" for side in runs}
        turn = [(runs[side], folders[side]) for side in (runs if number % 2 else reversed(runs))]
        (one_after_the_other if scale is GPU else step_by_step)(turn, home / "log.txt")
        if number:  # the first round warms the disk
            for side, folder in folders.items():
                cost[side].append(1000 * float((folder / "cost.txt").read_text()) / steps)
            if not with_itself:
                own.append(1000 * float((folders["lathe"] / "ours.txt").read_text()) / steps)
    first, its = (losses(home / f"{folder_name}-{side}-1")[0] for side in ("lathe", "trl"))
    ratios = [a / b for a, b in zip(cost["lathe"], cost["trl"], strict=True)]
    middle, spread = statistics.median(ratios), (max(ratios) - min(ratios)) / 2
    each = " ".join(f"{min(cost[side]):8.2f}" for side in runs)
    speed = (
        ""
        if scale is CPU or with_itself
        else "   " + on_gpu(peer.kind, *(home / f"{folder_name}-{side}-1" for side in runs))
    )
    label = f"{name}: trl / trl" if with_itself else name
    part = f"{min(own):5.2f} {min(own) / min(cost['trl']):6.1%}" if own else 12 * " "
    print(f"{label:<24} {each}   {part}   {middle:.3f} ± {spread:.3f}   {first:.5f} / {its:.5f}{speed}", flush=True)
    for folder in home.glob(f"{folder_name}-*-*"):
        shutil.rmtree(folder, ignore_errors=True)  # models of gigabytes
    return middle


def on_gpu(kind: str, bare: Path, job: Path) -> str:
    """Tokens a second and MFU of the job, the most memory of both."""
    with Reader(job / "metrics.sqlite") as run:
        told = [value for value in run.points("tokens_per_second")[1][WARM:] if value > 0]
        speed = statistics.median(told) if told else 0.0
        share = utilization(kind, run.progress(), speed)
    most = [int((folder / "memory.txt").read_text()) / 2**30 for folder in (bare, job)]
    mfu = "   –" if share is None else f"{share:4.0%}"
    return f"{speed:9,.0f} tokens/s, MFU {mfu}, GiB trl {most[0]:.1f} lathe {most[1]:.1f}"


def main() -> None:
    """Print one line an algorithm; exit code 1 when one costs over 2 % more than TRL alone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--only", action="append", choices=list(PEERS))
    parser.add_argument("--gpu", action="store_true", help="half a billion parameters in bfloat16 on the GPU")
    asked = parser.parse_args()
    scale, names = GPU if asked.gpu else CPU, asked.only or list(PEERS)
    programs.preload()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        models = start_models(home, scale)
        print(f"{scale.unit:<24} {'trl':>8} {'lathe':>8}   of it ours     ratio           first loss, lathe / trl")
        compare(names[0], home, models, scale, asked.pairs, asked.steps, with_itself=True)
        found = {name: compare(name, home, models, scale, asked.pairs, asked.steps) for name in names}
    if any(ratio > 1.02 for name, ratio in found.items() if PEERS[name].same):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

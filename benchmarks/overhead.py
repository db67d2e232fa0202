"""What the platform costs a training step: one SFT job against a bare TRL script with the same settings, data and seed.

    python -m benchmarks.overhead [--pairs 7] [--steps 150] [--logging-steps 1]

Three runs alternate, each in a fresh fork of one warm parent: TRL's SFTTrainer as it is (`stock`), the same with the
plain cross-entropy that the platform uses for small models (`plain`), and a job of the platform (`lathe`), which also
reports metrics, gradient norms by layer and progress. Compared are the CPU seconds of `Trainer.train()`, all threads
counted. Prints each round, the median ratios, and whether the losses of every step are the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.demo.data import write_datasets
from platform_core.demo.recipe import STAGE, stages
from platform_core.metrics.reader import Reader
from runners import programs


def write_job(folder: Path, kind: str, spec: dict[str, object], paths: dict[str, Path]) -> Path:
    """A job folder with one attempt, as the supervisor leaves it."""
    resolved = algorithm(kind).spec.model_validate(spec).model_dump(mode="json")
    (folder / "attempts" / "1").mkdir(parents=True)
    run = {"id": folder.name, "kind": kind, "engine": "hf", "spec": resolved, "threads": 1}
    run |= {"paths": {name: str(path) for name, path in paths.items()}}
    (folder / "attempts" / "1" / "run.json").write_text(json.dumps(run))
    return folder


def forked(work: Callable[[], int], log: Path) -> int:
    """Begin `work` in a fork of this warm process, whose words go to `log`; returns its pid."""
    pid = os.fork()
    if pid == 0:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os._exit(work())
    return pid


def succeeded(status: int, log: Path) -> None:
    """Raises RuntimeError with the end of `log` unless a fork ended well."""
    if status:
        raise RuntimeError(log.read_text()[-2000:])


def in_a_fork(work: Callable[[], int], log: Path) -> None:
    """Run `work` in a fork of this warm process; raises RuntimeError when it fails."""
    succeeded(os.waitpid(forked(work, log), 0)[1], log)


def timed(target: Path) -> None:
    """In the child: write the CPU seconds of `Trainer.train()` to `target`."""
    from transformers import Trainer

    train = Trainer.train

    def measured(self: Any, *args: Any, **more: Any) -> Any:
        began = time.process_time()
        try:
            return train(self, *args, **more)
        finally:
            target.write_text(str(time.process_time() - began))

    Trainer.train = measured


def run_lathe(job: Path, clock: Callable[[Path], None] = timed) -> int:
    """The platform's way: the program of the job; what it cost by `clock` in `cost.txt`."""
    import runners.programs.train as program

    clock(job / "cost.txt")
    return program.main(job)


def run_bare(folder: Path, spec: dict[str, Any], model: Path, dataset: Path, plain: bool) -> int:
    """The way of a person with TRL alone: load, tokenize, train, keep the logs."""
    os.environ.update(programs.ENVIRONMENT)
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from runners.engines.hf.language_model import PlainLossTrainer

    torch.set_num_threads(1)
    folder.mkdir()
    timed(folder / "cost.txt")
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = [json.loads(line) for line in dataset.read_text().splitlines()]
    prompts = tokenizer([row["prompt"] for row in rows])["input_ids"]
    whole = tokenizer([row["prompt"] + row["completion"] + tokenizer.eos_token for row in rows])["input_ids"]
    labels = [[-100] * len(p) + w[len(p) :] for p, w in zip(prompts, whole, strict=True)]
    settings = SFTConfig(
        output_dir=str(folder / "out"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        seed=spec["seed"],
        max_steps=spec["max_steps"],
        per_device_train_batch_size=spec["batch_size"],
        learning_rate=spec["learning_rate"],
        lr_scheduler_type="linear",
        warmup_steps=spec["warmup_steps"],
        weight_decay=spec["weight_decay"],
        adam_beta2=spec["adam_beta2"],
        max_length=spec["max_length"],
        logging_steps=spec["logging_steps"],
        logging_first_step=True,
    )
    trainer = (PlainLossTrainer if plain else SFTTrainer)(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        args=settings,
        train_dataset=Dataset.from_dict({"input_ids": whole, "labels": labels}),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    (folder / "losses.json").write_text(json.dumps([row["loss"] for row in trainer.state.log_history if "loss" in row]))
    return 0


def losses(folder: Path) -> list[float]:
    """The logged losses of a run."""
    bare = folder / "losses.json"
    if bare.exists():
        return [float(loss) for loss in json.loads(bare.read_text())]
    with Reader(folder / "metrics.sqlite") as reader:
        return [float(loss) for loss in reader.points("loss")[1]]


def prepare(home: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The demo's first two stages; the settings and paths of its SFT."""
    names = write_datasets(home, 0)
    done: dict[str, Path] = {}
    for stage in stages(0, names):
        values = {name: str(value) for name, value in stage.spec.items() if name in ("dataset", "model", "tokenizer")}
        paths = {
            name: done[value.removeprefix(STAGE)] if value.startswith(STAGE) else home / "datasets" / value
            for name, value in values.items()
        }
        if stage.kind == "sft":
            return dict(stage.spec), paths
        job = write_job(home / stage.name, stage.kind, stage.spec, paths)
        program = __import__(f"runners.programs.{algorithm(stage.kind).program}", fromlist=["main"])
        in_a_fork(partial(program.main, job), home / "log.txt")
        done[stage.name] = job / "output"
    raise AssertionError("the recipe has no SFT stage")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--logging-steps", type=int, default=1)
    asked = parser.parse_args()
    programs.preload()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        spec, paths = prepare(home)
        spec |= {"max_steps": asked.steps, "logging_steps": asked.logging_steps}
        model, dataset = paths["model"], paths["dataset"]
        ratios: dict[str, list[float]] = {"plain": [], "stock": []}
        print(f"{'round':>5} {'stock':>9} {'plain':>9} {'lathe':>9}   CPU ms a step")
        runs: dict[str, Callable[[Path], int]] = {
            "stock": lambda folder: run_bare(folder, spec, model, dataset, plain=False),
            "plain": lambda folder: run_bare(folder, spec, model, dataset, plain=True),
            "lathe": lambda folder: run_lathe(write_job(folder, "sft", spec, paths)),
        }
        for number in range(asked.pairs + 1):
            order = list(runs) if number % 2 else list(reversed(runs))
            for name in order:
                in_a_fork(partial(runs[name], home / f"{name}-{number}"), home / "log.txt")
            cost = {name: float((home / f"{name}-{number}" / "cost.txt").read_text()) for name in runs}
            milliseconds = " ".join(f"{1000 * cost[name] / asked.steps:9.2f}" for name in runs)
            print(f"{number or 'warm':>5} {milliseconds}", flush=True)
            if number:
                for peer, found in ratios.items():
                    found.append(cost["lathe"] / cost[peer])
        ours, plain, stock = (losses(home / f"{name}-1") for name in ("lathe", "plain", "stock"))
        print(
            f"losses of {len(ours)} logged steps equal to plain TRL's: {'yes, bit for bit' if ours == plain else 'NO'}"
        )
        first, apart = abs(ours[0] / stock[0] - 1), max(abs(a / b - 1) for a, b in zip(ours, stock, strict=True))
        print(f"relative distance to stock TRL's losses: {first:.1e} at step 1, at most {apart:.1e}")
        for peer, found in ratios.items():
            middle, spread = statistics.median(found), (max(found) - min(found)) / 2
            print(f"lathe / {peer}: median {middle:.3f} (± {spread:.3f} over {len(found)} rounds)")
        if ours != plain or not all(map(math.isfinite, ours)):
            raise SystemExit(1)


if __name__ == "__main__":
    main()

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
A new algorithm is one more entry of `PEERS`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.overhead import forked, in_a_fork, losses, run_lathe, succeeded, write_job
from platform_core.demo.data import write_datasets
from platform_core.demo.recipe import STAGE, stages
from platform_core.jobs.utilization import utilization
from platform_core.metrics.reader import Reader
from runners import programs

Row = dict[str, Any]
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


@dataclass
class Bare:
    """What a person's own script begins with: the start model's folder, the rows, the settings in TRL's words."""

    model: Path
    rows: list[Row]
    settings: Row

    def parts(self) -> Row:
        """The arguments that all trainers take: model, data, tokenizer."""
        import torch
        from datasets import Dataset
        from transformers import AutoModelForCausalLM, AutoTokenizer

        return {
            "model": AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32),
            "train_dataset": Dataset.from_list(self.rows),
            "processing_class": AutoTokenizer.from_pretrained(self.model),
        }


@dataclass(frozen=True)
class Peer:
    """An algorithm: its kind, its rows, the settings beside `COMMON`, and TRL's own trainer for it.

    `length` is called the same here and there. `same`: the peer computes the same thing, so that its cost is a bar; PPO
    and SPO, which TRL does not have, are held against GRPO on as many completions, weighted tokens against plain ones.
    `start`: the stage of the demo whose model both begin with; what learns from its own answers has learned to answer.
    The kind `distill` has no line: it trains as `sft` does, once the teacher has answered.
    """

    kind: str
    rows: Callable[[int], list[Row]]
    trainer: Callable[[Bare], Any]
    spec: Row = field(default_factory=dict)
    length: Row = field(default_factory=lambda: {"max_length": 64})
    same: bool = True
    models: tuple[str, ...] = ("model",)
    start: str = "pretrain"


def pairs(sums: int = 1) -> list[Row]:
    """Sums worked out right, and with a wrong last result; `sums` of them in a row."""
    rng = random.Random(0)
    found = []
    for _ in range(1000):
        numbers = [(rng.randrange(100), rng.randrange(100)) for _ in range(sums)]
        prompt, result = f"{numbers[0][0]}+{numbers[0][1]}=", str(sum(numbers[-1]))
        told = " ".join(f"{a}+{b}={a % 10}+{b % 10}={a % 10 + b % 10} #{a + b}" for a, b in numbers)
        right = told.removeprefix(prompt)
        wrong = right.removesuffix(result) + str(sum(numbers[-1]) + 1)
        found.append({"prompt": prompt, "chosen": right, "rejected": wrong})
    return found


def rated(sums: int = 1) -> list[Row]:
    """The same answers, each with its label, in an order without a pattern."""
    made = [
        {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}
        for pair in pairs(sums)
        for side in ("chosen", "rejected")
    ]
    random.Random(1).shuffle(made)
    return made


def dpo(bare: Bare, **more: Any) -> Any:
    from trl import DPOConfig, DPOTrainer

    return DPOTrainer(args=DPOConfig(**bare.settings, **more), **bare.parts())


def simpo(bare: Bare) -> Any:
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    how = {"loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.0, "simpo_gamma": 1.0}
    return CPOTrainer(args=CPOConfig(**bare.settings, **how), **bare.parts())


def orpo(bare: Bare) -> Any:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOTrainer(args=ORPOConfig(**bare.settings, beta=0.1), **bare.parts())


def kto(bare: Bare) -> Any:
    from trl import KTOConfig, KTOTrainer

    return KTOTrainer(args=KTOConfig(**bare.settings, beta=0.1), **bare.parts())


def reward_model(bare: Bare) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    torch.manual_seed(bare.settings["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(bare.model, num_labels=1, dtype=torch.float32)
    return RewardTrainer(args=RewardConfig(**bare.settings), **bare.parts() | {"model": model})


def answers(sums: int = 1) -> list[Row]:
    """Sums with their answers."""
    return [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs(sums)]


def sft(bare: Bare, **more: Any) -> Any:
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(args=SFTConfig(**bare.settings, **more), **bare.parts())


def prompts(_sums: int = 1) -> list[Row]:
    """Sums with the answer that the reward checks."""
    rng = random.Random(0)
    asked = [(rng.randrange(100), rng.randrange(100)) for _ in range(1000)]
    return [{"prompt": f"{a}+{b}=", "answer": str(a + b)} for a, b in asked]


def right(completions: list[str], answer: list[str], **more: Any) -> list[float]:
    """1 where the last number is the answer."""
    found = (re.findall(r"-?\d+", completion) for completion in completions)
    return [float(bool(numbers) and numbers[-1] == a) for numbers, a in zip(found, answer, strict=True)]


def grpo(bare: Bare, **more: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    how = {"num_generations": 8, "top_k": 0, "beta": 0.0, **more}
    return GRPOTrainer(reward_funcs=right, args=GRPOConfig(**bare.settings, **how), **bare.parts())


def rloo(bare: Bare) -> Any:
    from trl import RLOOConfig, RLOOTrainer

    how = {"num_generations": 8, "top_k": 0, "beta": 0.05}
    return RLOOTrainer(reward_funcs=right, args=RLOOConfig(**bare.settings, **how), **bare.parts())


def distill_on_policy(bare: Bare) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.distillation_config import DistillationConfig
    from trl.trainer.distillation_trainer import DistillationTrainer

    teacher = AutoModelForCausalLM.from_pretrained(bare.model, dtype=torch.float32)
    how = {"top_k": 0, "beta": 1.0, "temperature": 1.0}
    return DistillationTrainer(teacher_model=teacher, args=DistillationConfig(**bare.settings, **how), **bare.parts())


ANSWERS: Row = {"max_completion_length": 24}
TAUGHT = 300
"""Steps of SFT on the model that writes its own answers: some are right then, some are wrong."""
GSPO: Row = {"importance_sampling_level": "sequence", "loss_type": "grpo", "epsilon": 3e-4, "epsilon_high": 4e-4}
PPO: Row = {"num_generations": 8, "kl_coef": 0.0, "minibatches": 1}
PEERS: dict[str, Peer] = {
    "sft": Peer("sft", answers, sft),
    "sft_packed": Peer("sft", answers, partial(sft, packing=True), {"packing": "best_fit"}),
    "dpo": Peer("dpo", pairs, dpo),
    "ipo": Peer("dpo", pairs, partial(dpo, loss_type=["ipo"]), {"loss": "ipo"}),
    "simpo": Peer("dpo", pairs, simpo, {"loss": "simpo"}),
    "orpo": Peer("orpo", pairs, orpo),
    "kto": Peer("kto", rated, kto),
    "reward_model": Peer("reward_model", pairs, reward_model),
    "grpo": Peer("grpo", prompts, grpo, {"num_generations": 8}, ANSWERS, start="sft"),
    "gspo": Peer("gspo", prompts, partial(grpo, **GSPO, steps_per_generation=4), {}, ANSWERS, start="sft"),
    "rloo": Peer("rloo", prompts, rloo, {"num_generations": 8, "kl_coef": 0.05}, ANSWERS, start="sft"),
    "distill_on_policy": Peer(
        "distill_on_policy", prompts, distill_on_policy, {}, ANSWERS, models=("model", "teacher"), start="sft"
    ),
    "distill_reasoning / sft": Peer("distill_reasoning", answers, sft, same=False),
    "ppo / grpo": Peer("ppo", prompts, grpo, PPO, ANSWERS, same=False, start="sft"),
    "spo / grpo": Peer("spo", prompts, grpo, {}, ANSWERS, same=False, start="sft"),
}


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

"""What takes too long for every `make test`: the other algorithms, a reward model, wishes, a cluster that dies.

`make verl` runs it.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_core.jobs import processes
from platform_core.metrics.reader import Reader
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import save
from runners.engines.hf.model import load_model, load_tokenizer
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job
from tests.integration.verl.jobs import ROLLOUT, SFT, checkpoints, curve, next_attempt, verl_job

pytestmark = pytest.mark.timeout(1200)
KINDS = {
    "gspo": {"minibatches": 2},
    "rloo": {},
    "ppo": {"minibatches": 2, "critic_learning_rate": 1e-2},
    "reinforce_pp": {"baseline": "group"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_algorithm_trains_and_leaves_a_model(
    kind: str, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    spec = {**ROLLOUT, "max_steps": 2, "batch_size": 8, **KINDS[kind]}
    job = verl_job(tmp_path / "job", kind, spec, model=taught, dataset=files["grpo"])
    assert forked(job) == 0, job.log
    assert list(curve(job, "reward")) == [1, 2]
    output = job.folder / "output"
    assert load_model(output, load_tokenizer(output)).num_parameters() == job.metrics["parameters"]


def test_sft_with_lora_leaves_a_merged_model(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    spec = {**SFT, "max_steps": 6, "tuning": "lora", "adapter_output": "merged", "validation_share": 0.1,
            "batch_size": 3, "eval_every": 2, "save_every": 2, "keep_checkpoints": 1}  # fmt: skip
    job = verl_job(tmp_path / "job", "sft", spec, model=taught, dataset=files["digits"])
    assert forked(job) == 0, job.log
    assert list(curve(job, "eval_loss")) == [2, 4, 6]
    assert checkpoints(job) == ["step-6"]
    assert (job.folder / "output" / "model.safetensors").is_file()


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory, taught: Path) -> Path:
    """A reward model that prefers the right sum."""
    folder = tmp_path_factory.mktemp("scorer")
    sums = [(a, b) for a in range(5) for b in range(4)]
    rows = [{"prompt": f"{a}+{b}=", "chosen": f"#{a + b}", "rejected": f"#{a + b + 1}"} for a, b in sums]
    data = folder / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    spec = {**TRAINING, "max_steps": 20, "batch_size": 10, "max_length": 32}
    job = make_job(folder / "job", "reward_model", spec, model=taught, dataset=data)
    assert forked(job) == 0, job.log
    return job.folder / "output"


def test_ppo_with_a_reward_model(tmp_path: Path, files: dict[str, Path], taught: Path, scorer: Path) -> None:
    reward = Reward.model_validate({"functions": [{"kind": "reward_model", "model": "scorer"}]})
    save(tmp_path / "reward", reward, None, ())
    spec = {**ROLLOUT, "max_steps": 2, "batch_size": 8, "minibatches": 1, "reward": "judged"}
    paths = {"model": taught, "dataset": files["grpo"], "critic_model": scorer}
    job = verl_job(tmp_path / "job", "ppo", spec, **paths)
    run = job.folder / "attempts/1/run.json"
    asked = json.loads(run.read_text())
    names = reward.names
    asked["paths"] |= {"reward": str(tmp_path / "reward"), f"reward.{names[0]}": str(scorer)}
    run.write_text(json.dumps(asked))
    assert forked(job) == 0, job.log
    rewards = curve(job, "reward")
    assert list(rewards) == [1, 2]
    assert len(set(rewards.values())) == 2, "a score is no 0 or 1"
    assert list(curve(job, "value_loss")) == [1, 2]


def when(job: Job, ready: Callable[[], bool], act: Callable[[int], None]) -> threading.Thread:
    """In a thread: as soon as `ready`, act with the pid of the runner."""

    def wait() -> None:
        while not ready():
            time.sleep(0.1)
        with Reader(job.folder / "metrics.sqlite") as reader:
            said = next(event.text for event in reader.events() if event.kind == "started")
        act(int(said.split("pid ")[1].split(",")[0]))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def has_step(job: Job, step: int) -> bool:
    try:
        return step in curve(job, "loss")
    except Exception:
        return False


def test_a_wish_acts_within_a_step(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    spec = {**SFT, "max_steps": 100_000, "batch_size": 4}
    job = verl_job(tmp_path / "job", "sft", spec, model=taught, dataset=files["digits"])
    thread = when(job, lambda: has_step(job, 3), lambda pid: os.kill(pid, signal.SIGUSR1))
    assert forked(job) == 0, job.log
    thread.join()
    step = int(str(job.result["step"]))
    assert job.result["status"] == "paused"
    assert checkpoints(job) == [f"step-{step}"]
    assert list(curve(job, "loss")) == list(range(1, step + 1))


def test_a_wish_while_verl_starts_ends_it_at_once(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    job = verl_job(tmp_path / "job", "grpo", {**ROLLOUT, "max_steps": 2}, model=taught, dataset=files["grpo"])
    thread = when(job, lambda: (job.folder / "attempts/1/verl/command.txt").exists(), lambda pid: os.kill(pid, 15))
    assert forked(job) == 0, job.log
    thread.join()
    assert job.result["status"] == "stopped"
    assert checkpoints(job) == []


def test_a_cluster_that_dies_is_a_sentence_and_the_job_goes_on(
    tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    spec = {**ROLLOUT, "max_steps": 40, "save_every": 1}
    job = verl_job(tmp_path / "job", "grpo", spec, model=taught, dataset=files["grpo"])

    def kill_raylet(pid: int) -> None:
        rows = processes.table()
        ours = processes.descendants(pid, rows)
        names = {p: Path(f"/proc/{p}/cmdline").read_bytes() for p in ours if Path(f"/proc/{p}").exists()}
        processes.kill([p for p, name in names.items() if b"raylet/raylet" in name.split(b"\0")[0]])

    thread = when(job, lambda: "step-2" in checkpoints_of(job), kill_raylet)
    assert forked(job) == 1
    thread.join()
    assert "died while the job ran" in job.sentence, job.log
    next_attempt(job, max_steps=max(int(c[5:]) for c in checkpoints(job)) + 1)
    assert forked(job) == 0, job.log
    assert job.result["status"] == "completed"


def checkpoints_of(job: Job) -> list[str]:
    return checkpoints(job) if (job.folder / "checkpoints").is_dir() else []

"""Jobs on verl at the smallest size."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from platform_core.algorithms.registry import algorithm
from platform_core.files import read_json
from platform_core.metrics.reader import Reader
from platform_core.rewards.spec import Reward, models_of
from platform_core.rewards.store import save
from tests.integration.engines.jobs import TRAINING, Job, make_job

VERL: dict[str, Any] = {**TRAINING, "engine": "verl", "device": "cpu"}
SFT: dict[str, Any] = {**VERL, "batch_size": 32, "max_length": 32}
ROLLOUT: dict[str, Any] = {
    **VERL, "batch_size": 16, "num_generations": 4, "max_completion_length": 6, "answer_extraction": "marker",
}  # fmt: skip


def verl_job(folder: Path, kind: str, spec: dict[str, object], pause_at: int | None = None, **paths: Path) -> Job:
    """A job folder whose first attempt pauses by itself after `pause_at` steps."""
    job = make_job(folder, kind, spec, **paths)
    if pause_at is not None:
        change_run(job, 1, pause_at=pause_at)
    return job


def next_attempt(job: Job, **spec: object) -> None:
    """The attempt after the first, without its pause; `spec`: settings that have changed."""
    folder = job.folder / "attempts" / "2"
    folder.mkdir()
    run = json.loads((job.folder / "attempts/1/run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run))
    change_run(job, 2, attempt=2, pause_at=None, spec={**run["spec"], **spec})


def change_run(job: Job, number: int, **more: object) -> None:
    path = job.folder / "attempts" / str(number) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


def use_reward(job: Job, folder: Path, reward: Reward, code: str, models: Mapping[str, Path]) -> None:
    """Save a reward in `folder` and have the job use it; `models`: the folder of each reward model it asks."""
    save(folder, reward, code, ())
    run = json.loads((job.folder / "attempts/1/run.json").read_text())
    asked = {f"reward.{name}": str(models[model]) for name, model in models_of(reward).items()}
    change_run(job, 1, paths={**run["paths"], "reward": str(folder), **asked}, spec={**run["spec"], "reward": "own"})


def curve(job: Job, name: str) -> dict[int, float]:
    """Step → value of a metric."""
    with Reader(job.folder / "metrics.sqlite") as reader:
        steps, values = reader.points(name)[:2]
    return dict(zip(steps.tolist(), values.tolist(), strict=True))


def events(job: Job) -> list[str]:
    with Reader(job.folder / "metrics.sqlite") as reader:
        return [event.kind for event in reader.events()]


def checkpoints(job: Job) -> list[str]:
    return sorted(p.name for p in (job.folder / "checkpoints").iterdir())


def checkpoints_of(job: Job) -> list[str]:
    """Those that are there so far."""
    return checkpoints(job) if (job.folder / "checkpoints").is_dir() else []


def has_step(job: Job, step: int, name: str = "loss") -> bool:
    """Whether a metric of `step` is there; False while its file is still being made."""
    try:
        return step in curve(job, name)
    except Exception:
        return False


def when(job: Job, ready: Callable[[], bool], act: Callable[[int], None]) -> threading.Thread:
    """In a thread: as soon as `ready`, act with the pid of the runner."""

    def wait() -> None:
        while not ready():
            if (job.folder / "result.json").exists():
                return  # it ended before that: what the test looks at next says how
            time.sleep(0.1)
        with Reader(job.folder / "metrics.sqlite") as reader:
            said = [event.text for event in reader.events() if event.kind == "started"][-1]
        act(int(said.split("pid ")[1].split(",")[0]))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def assert_trained(job: Job, steps: int, base: Path) -> None:
    """It ended as completed, each of its algorithm's own metrics is there for each step, and so is a model."""
    assert job.result["status"] == "completed"
    for metric in algorithm(job.kind).metrics:
        assert list(curve(job, metric)) == list(range(1, steps + 1)), metric
    assert_model(job, base)


def assert_model(job: Job, base: Path) -> Any:
    """The output is a Hugging Face model that plain transformers load, that differs from its start, and answers."""
    output = job.folder / "output"
    model = AutoModelForCausalLM.from_pretrained(output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert model.num_parameters() == (read_json(output / "lathe.json") or {})["parameters"]
    before = AutoModelForCausalLM.from_pretrained(base).state_dict()
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], tensor) for name, tensor in after.items())
    asked = tokenizer("1+2=", return_tensors="pt")
    answer = model.generate(input_ids=asked["input_ids"], max_new_tokens=4, do_sample=False)
    assert answer.shape[1] > asked["input_ids"].shape[1]
    return model

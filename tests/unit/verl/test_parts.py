"""The small parts of the engine: what is patched in verl, decisions at a step's end, names of metrics, sentences."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_core.algorithms.registry import algorithm
from platform_core.errors import Problem
from runners.engines.verl import failures, patches
from runners.engines.verl.names import SAME, ours
from runners.engines.verl.stepping import Decision, Policy, Stepping

TARGETS = [(module, name) for module, names in patches.TARGETS.items() for name in names]


@pytest.fixture(scope="module")
def patched() -> dict[str, dict[str, str]]:
    """Where each target of `patches.TARGETS` comes from, without and with our module in verl."""
    code = (
        "import importlib, json, operator, verl\n"
        f"targets = {TARGETS!r}\n"
        "def home(m, n):\n"
        "    found = operator.attrgetter(n)(importlib.import_module(m))\n"
        "    return getattr(found, '__module__', '') or ''\n"
        "print(json.dumps({f'{m}:{n}': home(m, n) for m, n in targets}))"
    )
    found = {}
    for name, plugin in (("verl's", ""), ("ours", "runners.engines.verl.plugin")):
        environment = {**os.environ, "VERL_USE_EXTERNAL_MODULES": plugin, "PYTHONPATH": str(Path.cwd())}
        if plugin:
            environment |= {"VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda"}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found[name] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name"), TARGETS)
def test_what_is_patched_is_there_and_is_ours_afterwards(
    patched: dict[str, dict[str, str]], module: str, name: str
) -> None:
    """Fails when verl renames or drops a target, and when a patch is not applied."""
    key = f"{module}:{name}"
    assert patched["verl's"][key] != "runners.engines.verl.patches"
    assert patched["ours"][key] == "runners.engines.verl.patches"


def decisions(folder: Path, policy: Policy, steps: range, total: int) -> dict[int, Decision]:
    policy.write(folder)
    stepping = Stepping(folder)
    return {step: decided for step in steps if (decided := stepping.decide(step, total)) != Decision()}


def test_it_saves_as_often_as_asked_and_at_the_end(tmp_path: Path) -> None:
    found = decisions(tmp_path, Policy(save_every=4), range(1, 11), 10)
    assert found == {4: Decision(save=True), 8: Decision(save=True), 10: Decision(save=True)}


def test_after_a_resume_it_saves_at_the_same_steps(tmp_path: Path) -> None:
    assert list(decisions(tmp_path, Policy(save_every=4), range(7, 11), 10)) == [8, 10]


def test_minutes_count_from_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr("runners.engines.verl.stepping.time.monotonic", lambda: float(next(clock)))
    assert list(decisions(tmp_path, Policy(save_every_minutes=1), range(1, 9), 100)) == [3, 6]


def test_a_wish_saves_and_stops_at_the_end_of_the_step(tmp_path: Path) -> None:
    Policy().write(tmp_path)
    stepping = Stepping(tmp_path)
    assert stepping.decide(1, 10) == Decision()
    (tmp_path / "wish").write_text("pause")
    assert stepping.decide(2, 10) == Decision(save=True, stop=True)
    assert stepping.decide(10, 10) == Decision(save=True), "the last step completes, whatever is wished"


def test_metrics_get_the_platforms_names_and_the_rest_keep_verls() -> None:
    said = {
        "critic/score/mean": 0.5, "actor/kl_loss": 0.1, "val-core/sums.jsonl/reward/mean@1": 0.25, "timing_s/gen": 2,
        "training/global_step": 3, "train/loss": None, "note": "text", "critic/vf_loss": 0.75,
    }  # fmt: skip
    found = ours(said)
    assert math.isnan(found.pop("loss"))
    assert found == {"reward": 0.5, "kl": 0.1, "eval_reward": 0.25, "timing_s/gen": 2.0, "value/loss": 0.75}


def test_the_critics_metrics_are_those_that_ppo_draws_first() -> None:
    known = set(SAME.values())
    assert {name for name in algorithm("ppo").metrics if name.startswith("value/")} <= known
    assert "clip_ratio/region_mean" in known


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ModuleNotFoundError: No module named 'vllm'", "has no vllm"),
        ("RuntimeError: Failed to bind to port 6379: Address already in use", "a port that it needs is taken"),
        ("ray.exceptions.LocalRayletDiedError: The task's local raylet died.", "died while the job ran"),
        ("The actor died unexpectedly before finishing this task: its node has died.", "died while the job ran"),
        ("ray.exceptions.ActorUnavailableError: The actor 42 is unavailable: RPC error: Socket closed", "died while"),
        ("torch.OutOfMemoryError: CUDA out of memory.", "Memory ran out"),
        ("OSError: [Errno 28] No space left on device", "No space left"),
        ("ConnectionError: Could not find any running Ray instance.", "does not answer"),
        ("RuntimeError: Failed to connect to GCS. Last connection error: None", "does not answer"),
        ("Exception: The current node timed out during startup. This could happen because", "did not start in time"),
        ("[C] Failed to connect to GCS within 60 seconds. GCS may have been killed.", "died while the job ran"),
        ("ValueError: Total available GPUs 4.0 is less than total desired GPUs 8", "has 4.0 GPUs, the job asks for 8"),
        ("AssertionError: normalized ppo_mini_batch_size 1 should be larger", "exit code 1: AssertionError"),
    ],
)
def test_a_failure_is_a_sentence(line: str, words: str) -> None:
    problem = failures.failure(["Traceback (most recent call last):", line, "  more"], 1)
    assert isinstance(problem, Problem)
    assert words in str(problem)


def test_what_ray_only_thinks_possible_is_no_reason() -> None:
    guess = "There are some potential root causes. (1) The process is killed by SIGKILL by OOM killer."
    lines = [guess, "Traceback (most recent call last):", "ray.exceptions.LocalRayletDiedError: the raylet died."]
    assert "died while the job ran" in str(failures.failure(lines, 1))

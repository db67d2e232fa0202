"""Wishes at any time, a cluster that dies in the middle, and ports that other programs have taken."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from platform_core.jobs import processes
from platform_core.rewards.spec import Reward
from tests.integration.engines.jobs import forked
from tests.integration.verl.jobs import (
    ROLLOUT,
    SFT,
    assert_trained,
    checkpoints,
    checkpoints_of,
    curve,
    has_step,
    next_attempt,
    use_reward,
    verl_job,
    when,
)

pytestmark = pytest.mark.timeout(1200)


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


DYING: dict[str, tuple[str, dict[str, Any]]] = {
    "raylet/raylet": ("reinforce_pp", {"baseline": "batch"}),
    "gcs/gcs_server": ("rloo", {}),
}
"""The process of Ray that is killed → kind of the job and its own settings."""


@pytest.mark.parametrize("part", DYING)
def test_a_cluster_that_dies_is_a_sentence_and_the_job_goes_on(
    part: str, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    kind, own = DYING[part]
    spec = {**ROLLOUT, "batch_size": 8, "kl_coef": 0.05, "max_steps": 400, "save_every": 1, **own}
    job = verl_job(tmp_path / "job", kind, spec, model=taught, dataset=files["grpo"])

    def kill_part(pid: int) -> None:
        ours = processes.descendants(pid, processes.table())
        found = [p for p in ours if part in program(p)]
        assert found
        processes.kill(found)

    thread = when(job, lambda: "step-2" in checkpoints_of(job), kill_part)
    assert forked(job) == 1
    thread.join()
    assert "died while the job ran" in job.sentence, job.log
    saved = max(int(c[5:]) for c in checkpoints(job))
    next_attempt(job, max_steps=saved + 1)
    assert forked(job) == 0, job.log
    assert_trained(job, saved + 1, taught)


def test_a_reward_that_stops_names_the_row(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    job = verl_job(tmp_path / "job", "rloo", {**ROLLOUT, "max_steps": 9}, model=taught, dataset=files["grpo"])
    own = Reward.model_validate({"functions": [{"kind": "custom_python"}], "on_error": "stop"})
    code = "def score(completion, reference, prompt, row):\n    return 1 / (int(prompt[0]) - 3)\n"
    use_reward(job, tmp_path / "own", own, code, {})
    assert forked(job) == 1
    assert "could not score the answer to row" in job.sentence, job.log
    assert "ZeroDivisionError" in job.sentence


def program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


@pytest.fixture
def taken() -> Any:
    """A port on which another program listens that is no Ray: it takes what is sent, and says nothing."""
    with socket.create_server(("", 0)) as other:
        yield other.getsockname()[1]


def test_the_port_of_rays_head_is_taken(tmp_path: Path, files: dict[str, Path], taught: Path, taken: int) -> None:
    """Ray lets the system choose its ports unless it is told one."""
    job = verl_job(tmp_path / "job", "grpo", {**ROLLOUT, "max_steps": 2}, model=taught, dataset=files["grpo"])
    assert forked(job, lambda: os.environ.update(RAY_GCS_SERVER_PORT=str(taken))) == 1
    assert "a port that it needs is taken by another program" in job.sentence, job.log


@pytest.mark.parametrize("listens", [True, False])
def test_no_ray_is_at_the_address_of_the_cluster(
    listens: bool, tmp_path: Path, files: dict[str, Path], taught: Path, taken: int
) -> None:
    """Another program is there, or none: nothing listens on port 1."""
    spec = {**ROLLOUT, "max_steps": 2, "ray_address": f"127.0.0.1:{taken if listens else 1}"}
    job = verl_job(tmp_path / "job", "grpo", spec, model=taught, dataset=files["grpo"])
    assert forked(job) == 1
    assert "The Ray cluster does not answer at its address" in job.sentence, job.log
    assert ("starting verl" in job.log) == listens, "where it can be known before, verl is not started"

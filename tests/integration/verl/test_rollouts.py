"""GRPO on verl and Ray: LoRA, KL, validation, rollouts as samples, an adapter at the end, with a pause and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform_core.metrics.reader import Reader
from runners.engines.hf.model import load_model, load_tokenizer
from tests.integration.engines.jobs import forked
from tests.integration.verl.jobs import ROLLOUT, checkpoints, curve, events, next_attempt, verl_job


@pytest.mark.timeout(900)
@pytest.mark.parametrize("paused", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_grpo_with_lora_leaves_an_adapter_with_and_without_a_pause(
    paused: bool, tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    spec = {**ROLLOUT, "max_steps": 3, "tuning": "lora", "lora_rank": 4, "kl_coef": 0.05, "validation_share": 0.2,
            "eval_every": 3}  # fmt: skip
    job = verl_job(tmp_path / "job", "grpo", spec, pause_at=2 if paused else None, model=taught, dataset=files["grpo"])
    assert forked(job) == 0, job.log
    if paused:
        assert (job.result["status"], job.result["step"], checkpoints(job)) == ("paused", 2, ["step-2"])
        next_attempt(job)
        assert forked(job) == 0, job.log
    assert job.result["status"] == "completed"
    for name in ("reward", "kl", "loss", "entropy", "grad_norm", "completions/mean_length", "num_tokens", "reward_std"):
        assert list(curve(job, name)) == [1, 2, 3], name
    assert list(curve(job, "eval_reward")) == [3]
    tokens = list(curve(job, "num_tokens").values())
    assert tokens == sorted(set(tokens)), "counted on over the pause"
    assert events(job).count("checkpoint") == (2 if paused else 1)
    with Reader(job.folder / "metrics.sqlite") as reader:
        samples = reader.samples(limit=100)
    assert {sample.step for sample in samples} == {1, 2, 3}
    told = samples[-1].data
    assert str(told["prompt"]).endswith("=")
    assert float(told["reward"]) in (0.0, 1.0)
    assert next(s.data for s in samples if s.data.get("source") == "validation")["rewards"].keys() == {"exact_match"}
    output = job.folder / "output"
    assert (output / "adapter_config.json").is_file()
    assert "127.0.0.1" in job.log, "Ray listens on the loopback address"
    assert load_model(output, load_tokenizer(output)).num_parameters()

"""Every algorithm on verl to its end: its own metrics, a model that loads and answers, rewards as the scorer says.

GRPO and SFT with all weights are in `test_rollouts.py` and `test_sft.py`, which every `make test` runs; RLOO and
REINFORCE++ with its other baseline in `test_faults.py`, where their cluster dies on the way.
"""

from __future__ import annotations

import json
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from platform_core.algorithms.registry import algorithm, algorithms
from platform_core.metrics.reader import Reader
from platform_core.rewards.answer import Answer
from platform_core.rewards.resources import ModelScorer
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import load
from runners.engines.hf import reward_model
from runners.engines.verl.output import merge
from tests.integration.engines.jobs import Job, forked
from tests.integration.verl.jobs import (
    ROLLOUT,
    SFT,
    assert_model,
    assert_trained,
    checkpoints,
    curve,
    use_reward,
    verl_job,
)
from tests.integration.verl.test_faults import DYING

pytestmark = pytest.mark.timeout(1200)

CODE = """
def score(completion, reference, prompt, row):
    if prompt.startswith("3"):
        raise ValueError("threes are not scored")
    return len(completion) / 10 + (reference in completion) + row["bonus"], "length, sum and bonus"
"""
OWN: dict[str, Any] = {"functions": [{"kind": "custom_python", "weight": 2.0}], "clip_high": 3.0}
JUDGED: dict[str, Any] = {
    "functions": [{"kind": "reward_model", "model": "scorer"}, {"kind": "exact_match", "extraction": "marker"}]
}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "gspo": ("gspo", {}, OWN),
    "ppo": ("ppo", {"critic_learning_rate": 1e-2, "critic_model": "scorer"}, JUDGED),
    "reinforce_pp": ("reinforce_pp", {"baseline": "group"}, None),
}
"""Name → kind, its own settings, its reward."""
ROLLOUT_SIZE = 16
"""Answers of a step: two updates, 8 answers each, whose 8 prompts are few enough to be shown all."""


def test_every_algorithm_and_every_baseline_is_tried() -> None:
    tried = [*((kind, spec) for kind, spec, _ in CASES.values()), *DYING.values(), ("sft", {}), ("grpo", {})]
    assert {kind for kind, _ in tried} == {kind.name for kind in algorithms().values() if "verl" in kind.engines}
    baselines = {spec["baseline"] for _, spec in tried if "baseline" in spec}
    known = algorithm("reinforce_pp").spec.model_json_schema()["properties"]["baseline"]["enum"]
    assert baselines == set(known)


@pytest.mark.parametrize("name", CASES)
def test_it_trains_tells_its_metrics_and_leaves_a_model(
    name: str, tmp_path: Path, files: dict[str, Path], taught: Path, scorer: Path
) -> None:
    kind, more, reward = CASES[name]
    spec = {**ROLLOUT, "max_steps": 2, "batch_size": 8, "num_generations": 2, "minibatches": 2, "kl_coef": 0.05, **more}
    data = with_bonus(files["grpo"], tmp_path / "bonus.jsonl")
    paths = {"model": taught, "dataset": data, **({"critic_model": scorer} if "critic_model" in more else {})}
    job = verl_job(tmp_path / "job", kind, spec, **paths)
    if reward:
        use_reward(job, tmp_path / "own", Reward.model_validate(reward), CODE, {"scorer": scorer})
    assert forked(job) == 0, job.log
    assert_trained(job, 2, taught)
    if reward:
        assert_scored_alike(job, tmp_path / "own", {"scorer": partial(reward_model.score, scorer)}, data)


def with_bonus(source: Path, target: Path) -> Path:
    """The dataset with a number of its own in each row, for a reward that looks at more than the answer."""
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    target.write_text("".join(json.dumps({**row, "bonus": n / 100}) + "\n" for n, row in enumerate(rows)))
    return target


def assert_scored_alike(job: Job, folder: Path, models: dict[str, ModelScorer], data: Path) -> None:
    """The job's answers, scored once more by the scorer itself, get the rewards that the training got."""
    rows = {row["prompt"]: row for row in map(json.loads, data.read_text().splitlines())}
    with Reader(job.folder / "metrics.sqlite") as reader:
        samples = reader.samples(limit=1000)
    assert len([s for s in samples if s.step == 1]) == ROLLOUT_SIZE, "the first rollout whole"
    reward = load(folder).reward
    asked = [
        Answer(str(s.data["completion"]), str(rows[p]["answer"]), p, rows[p], None)
        for s in samples
        for p in [str(s.data["prompt"])]
    ]
    with open_scorer(reward, folder, models) as direct:
        scores = direct.score(asked)
    for sample, score in zip(samples, scores, strict=True):
        assert sample.data["reward"] == pytest.approx(score.value, abs=1e-5), sample.data
        parts = {part.name: part.value or 0.0 for part in score.parts}
        assert sample.data["rewards"] == pytest.approx(parts, abs=1e-5), sample.data
    first = [score for sample, score in zip(samples, scores, strict=True) if sample.step == 1]
    assert curve(job, "reward")[1] == pytest.approx(statistics.fmean(s.value for s in first), abs=1e-5)
    if len(reward.functions) > 1:
        for at, name in enumerate(reward.names):
            mean = statistics.fmean(score.parts[at].value or 0.0 for score in first)
            assert curve(job, f"rewards/{name}/mean")[1] == pytest.approx(mean, abs=1e-5)
    assert len({round(score.value, 6) for score in scores}) > 2, "no 0 and 1"
    if any(score.error is not None for score in scores):
        with Reader(job.folder / "metrics.sqlite") as reader:
            said = [event.text for event in reader.events() if event.kind == "reward_error"]
        assert any("threes are not scored" in one and "It counts as 0." in one for one in said), said


def test_sft_with_lora_leaves_a_model_that_is_base_and_adapter(
    tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    spec = {**SFT, "max_steps": 6, "tuning": "lora", "lora_rank": 4, "lora_alpha": 12, "adapter_output": "merged",
            "validation_share": 0.1, "batch_size": 3, "eval_every": 2, "save_every": 2,
            "keep_checkpoints": 1}  # fmt: skip
    job = verl_job(tmp_path / "job", "sft", spec, model=taught, dataset=files["digits"])
    assert forked(job) == 0, job.log
    assert job.result["status"] == "completed"
    assert list(curve(job, "eval_loss")) == [2, 4, 6]
    assert list(curve(job, "loss")) == list(range(1, 7))
    assert checkpoints(job) == ["step-6"]
    merged = assert_model(job, taught).state_dict()
    merge(job.folder / "checkpoints/step-6", tmp_path / "shards", "fsdp")
    adapter = load_file(tmp_path / "shards/lora_adapter/adapter_model.safetensors")
    base = AutoModelForCausalLM.from_pretrained(taught).state_dict()
    changed = set()
    for name, down in adapter.items():
        if "lora_A" not in name:
            continue
        up = adapter[name.replace("lora_A", "lora_B")]
        layer = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
        changed.add(layer)
        torch.testing.assert_close(merged[layer], base[layer] + 12 / 4 * up @ down, rtol=1e-5, atol=1e-6, msg=layer)
        assert not torch.equal(merged[layer], base[layer]), layer
    assert len(changed) == 7, "every linear layer of the one block"
    for name in base.keys() - changed:
        torch.testing.assert_close(merged[name], base[name], rtol=0, atol=0, msg=name)

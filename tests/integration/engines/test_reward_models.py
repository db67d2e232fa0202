"""A reward asks a trained reward model: its score is the reward, in training and in what is exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from platform_core.jobs import service as jobs
from platform_core.jobs.export import export
from platform_core.jobs.store import Job as Row
from platform_core.metrics.reader import Reader
from platform_core.rewards import service
from platform_core.rewards.spec import Reward
from platform_core.workspace.service import Workspace, open_workspace
from runners.engines.hf.reward_model import score
from tests.integration.engines.jobs import SIZES, TRAINING, Job, forked, make_job, run_first
from tests.integration.engines.test_export import curve, run_alone, told

PAIRS = {**TRAINING, "max_steps": 12, "batch_size": 8, "max_length": 32}
ROLLOUTS = {**TRAINING, "max_steps": 3, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}
BESIDE = {"grpo": {}, "ppo": {"minibatches": 1, "kl_coef": 0.05, "critic_learning_rate": 1e-2}}
JUDGED = Reward.model_validate(
    {
        "functions": [
            {"kind": "reward_model", "model": "judge", "weight": 2.0},
            {"kind": "exact_match", "extraction": "marker", "cut_thinking": False},
        ]
    }
)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path], taught: Path) -> Path:
    job = make_job(tmp_path_factory.mktemp("judge"), "reward_model", PAIRS, model=taught, dataset=files["dpo"])
    assert forked(job) == 0, job.log
    return job.folder / "output"


@pytest.fixture
def place(tmp_path: Path, files: dict[str, Path], taught: Path, judge: Path) -> Workspace:
    workspace = open_workspace(tmp_path / "home")
    shutil.copyfile(files["grpo"], workspace.datasets / "grpo.jsonl")
    shutil.copytree(taught, workspace.models / "taught")
    shutil.copytree(judge, workspace.models / "judge")
    service.save(workspace.home, "judged", JUDGED, None, [])
    return workspace


def made(place: Workspace, kind: str) -> Row:
    values = {**ROLLOUTS, **BESIDE[kind], "model": "taught", "dataset": "grpo.jsonl", "reward": "judged"}
    return jobs.create(place, kind, values, name="judged by a model")


def asked_directly(place: Workspace, job: Job) -> None:
    """Hold the rewards of what was shown against the model's own score of the same texts."""
    with Reader(job.folder / "metrics.sqlite") as reader:
        shown = [sample.data for sample in reader.samples()]
    assert len({sample["rewards"]["reward_model"] for sample in shown}) > 1
    scores = score(place.models / "judge", [s["prompt"] for s in shown], [s["completion"] for s in shown])
    for sample, value in zip(shown, scores, strict=True):
        assert sample["rewards"]["reward_model"] == pytest.approx(value, abs=1e-5)
        assert sample["reward"] == pytest.approx(2 * value + sample["rewards"]["exact_match"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BESIDE)
def test_the_models_score_is_the_reward(kind: str, place: Workspace) -> None:
    asked_directly(place, run_first(place, made(place, kind)))


@pytest.mark.slow
def test_an_export_carries_the_reward_model(place: Workspace, tmp_path: Path) -> None:
    row = made(place, "grpo")
    job = run_first(place, row)
    folder = tmp_path / "elsewhere"
    shutil.copytree(export(place, row.id, with_data=True).folder, folder)
    for gone in (place.models, place.datasets, place.home / "rewards"):
        shutil.rmtree(gone)
    ended = run_alone(folder)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for name in ("loss", "reward", "rewards/reward_model/mean"):
        assert told(folder, name) == curve(job, name)
    assert (folder / "output" / "model.safetensors").read_bytes() == job.weights


@pytest.mark.slow
def test_one_with_another_tokenizer_reads_the_answers_as_text(
    place: Workspace, tmp_path: Path, files: dict[str, Path]
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"{a}+{b}=#{a + b}"}) + "\n" for a in range(10) for b in range(10)))
    words = make_job(tmp_path / "words", "tokenizer", {"vocab_size": 262}, dataset=texts)
    assert forked(words) == 0, words.log
    sizes = {**SIZES, **TRAINING, "max_steps": 5, "batch_size": 4, "max_length": 16}
    other = make_job(tmp_path / "other", "pretrain", sizes, tokenizer=words.folder / "output", dataset=texts)
    assert forked(other) == 0, other.log
    pairs = make_job(tmp_path / "pairs", "reward_model", PAIRS, model=other.folder / "output", dataset=files["dpo"])
    assert forked(pairs) == 0, pairs.log
    shutil.rmtree(place.models / "judge")
    shutil.copytree(pairs.folder / "output", place.models / "judge")
    values = {**ROLLOUTS, "model": "taught", "dataset": "grpo.jsonl", "reward": "judged", "max_steps": 1}
    said = [str(f.text) for f in jobs.examine(place, "grpo", values)[1] if f.fields == ("reward",)]
    assert said == [
        "The reward model judge has another tokenizer than the model that learns: it reads the answers as text, "
        "tokenized anew."
    ]
    job = run_first(place, jobs.create(place, "grpo", values, name="judged in other words"))
    with Reader(job.folder / "metrics.sqlite") as reader:
        (event,) = [e for e in reader.events() if e.kind == "other_tokenizer"]
    assert "the reward model judge has another tokenizer" in event.text
    asked_directly(place, job)

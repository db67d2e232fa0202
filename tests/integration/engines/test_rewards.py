"""A training learns from a saved reward: its cases first, its functions as metrics, the same after a pause."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from platform_core.jobs import service as jobs
from platform_core.jobs.export import export
from platform_core.jobs.folder import write_run
from platform_core.jobs.inputs import hashes
from platform_core.metrics.reader import Reader
from platform_core.rewards import service
from platform_core.rewards.answer import Answer
from platform_core.rewards.cases import Case
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import save
from platform_core.workspace.service import Workspace, open_workspace
from tests.integration.engines.jobs import TRAINING, Job, ask_at, forked, make_job, run_first
from tests.integration.engines.test_export import curve, run_alone, told

GRPO = {**TRAINING, "max_steps": 3, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}
MIXED = Reward.model_validate(
    {
        "functions": [
            {"kind": "exact_match", "extraction": "marker", "cut_thinking": False},
            {"kind": "custom_python", "weight": 0.25},
            {"kind": "length", "most": 12, "slack": 10, "weight": 0.5},
        ]
    }
)
CODE = "def score(completion, reference, prompt, row):\n    return float('#' in completion), str(sorted(row))\n"
RIGHT = [Case("right", "1 # 7", 1.25 + 0.5 * -0.3, "7")]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    save(tmp_path / "rewards" / "mixed", MIXED, CODE, RIGHT)
    return tmp_path / "rewards" / "mixed"


def job_of(folder: Path, taught: Path, data: Path, reward: Path, **more: object) -> Job:
    spec = {**GRPO, **more, "reward": reward.name}
    return with_reward(make_job(folder, "grpo", spec, model=taught, dataset=data), reward)


def with_reward(job: Job, reward: Path) -> Job:
    run = job.folder / "attempts" / "1" / "run.json"
    data_of = json.loads(run.read_text())
    data_of["paths"]["reward"] = str(reward)
    run.write_text(json.dumps(data_of))
    return job


def test_functions_are_metrics_and_stand_in_samples(
    tmp_path: Path,
    files: dict[str, Path],
    taught: Path,
    mixed: Path,
) -> None:
    straight = job_of(tmp_path / "straight", taught, files["grpo"], mixed)
    assert forked(straight) == 0, straight.log
    with Reader(straight.folder / "metrics.sqlite") as reader:
        parts = {name: reader.points(f"rewards/{name}/mean")[1] for name in MIXED.names}
        total = reader.points("reward")[1]
        shown = [sample.data for sample in reader.samples()]
    for at, value in enumerate(total):
        weighted = [f.weight * parts[n][at] for n, f in zip(MIXED.names, MIXED.functions, strict=True)]
        assert value == pytest.approx(sum(weighted), abs=1e-5)
    assert all(set(sample["rewards"]) == set(MIXED.names) for sample in shown)
    paused = job_of(tmp_path / "paused", taught, files["grpo"], mixed)
    assert forked(paused, ask_at(1, signal.SIGTERM)) == 0, paused.log
    assert paused.result["status"] == "stopped"
    assert forked(paused) == 0, paused.log
    assert paused.weights == straight.weights


def test_a_failing_case_stops_the_job_before_the_model_loads(
    tmp_path: Path,
    files: dict[str, Path],
    taught: Path,
    mixed: Path,
) -> None:
    save(mixed, MIXED, CODE, [*RIGHT, Case("too hopeful", "1 # 8", 1.0, "7")])
    job = job_of(tmp_path / "job", taught, files["grpo"], mixed)
    assert forked(job) == 1
    assert "“mixed” fails 1 of its 2 test cases: the case “too hopeful” gets" in job.sentence
    assert "loading the model" not in job.log


@pytest.mark.parametrize(("policy", "code"), [("zero", 0), ("stop", 1)])
def test_answers_that_cannot_be_scored_follow_the_policy(
    tmp_path: Path,
    files: dict[str, Path],
    taught: Path,
    mixed: Path,
    policy: str,
    code: int,
) -> None:
    reward = Reward.model_validate({"functions": [{"kind": "custom_python"}], "on_error": policy})
    save(mixed, reward, "def score(completion, reference, prompt, row):\n    return 1 / 0\n", [])
    job = job_of(tmp_path / "job", taught, files["grpo"], mixed, max_steps=1)
    assert forked(job) == code, job.log
    if policy == "stop":
        assert "could not score the answer to row" in job.sentence
        assert "ZeroDivisionError" in job.sentence
    else:
        with Reader(job.folder / "metrics.sqlite") as reader:
            assert reader.points("reward")[1].tolist() == [0.0]
            assert any("ZeroDivisionError" in str(event) for event in reader.events())


def test_an_evaluation_scores_by_the_reward_of_a_training(
    tmp_path: Path, files: dict[str, Path], taught: Path, mixed: Path
) -> None:
    spec = {"reward": "mixed", "samples": 2, "max_new_tokens": 6, "batch_size": 8}
    job = with_reward(make_job(tmp_path / "judge", "evaluate", spec, model=taught, dataset=files["heldout"]), mixed)
    assert forked(job) == 0, job.log
    answers = [json.loads(line) for line in (job.folder / "output/samples.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in files["heldout"].read_text().splitlines()]
    asked = [
        Answer(a["completion"], a["reference"], a["prompt"], rows[a["question"]], a["question"] + 1) for a in answers
    ]
    with open_scorer(MIXED, mixed) as scorer:
        scores = scorer.score(asked)
    assert [a["reward"] for a in answers] == [score.value for score in scores]
    assert [list(a["rewards"].values()) for a in answers] == [[part.value for part in s.parts] for s in scores]
    greedy, sampled = answers[: len(rows)], answers[len(rows) :]
    metrics = job.metrics
    assert len({a["reward"] for a in answers}) > 2
    assert metrics["greedy_reward"] == pytest.approx(sum(a["reward"] for a in greedy) / len(greedy))
    assert metrics["sampled_reward"] == pytest.approx(sum(a["reward"] for a in sampled) / len(sampled))
    assert metrics["greedy_reward_low"] <= metrics["greedy_reward"] <= metrics["greedy_reward_high"]  # type: ignore[operator]
    for name in MIXED.names:
        mean = sum(a["rewards"][name] for a in greedy) / len(greedy)
        assert metrics[f"rewards/{name}/mean"] == pytest.approx(mean)
    assert not {"exact_match", "reward", "not_scored"} & set(metrics)


def test_an_evaluation_counts_what_it_cannot_score(
    tmp_path: Path, files: dict[str, Path], taught: Path, mixed: Path
) -> None:
    reward = Reward.model_validate({"functions": [{"kind": "custom_python"}]})
    save(mixed, reward, "def score(completion, reference, prompt, row):\n    return float('nan')\n", [])
    spec = {"reward": "mixed", "max_new_tokens": 4, "batch_size": 8}
    job = with_reward(make_job(tmp_path / "judge", "evaluate", spec, model=taught, dataset=files["heldout"]), mixed)
    assert forked(job) == 0, job.log
    assert job.metrics["not_scored"] == job.metrics["n"]
    assert job.metrics["greedy_reward"] == 0.0


@pytest.fixture
def place(tmp_path: Path, files: dict[str, Path], taught: Path) -> Workspace:
    workspace = open_workspace(tmp_path / "home")
    shutil.copyfile(files["grpo"], workspace.datasets / "grpo.jsonl")
    shutil.copytree(taught, workspace.models / "taught")
    service.save(workspace.home, "mixed", MIXED, CODE, RIGHT)
    return workspace


def test_a_job_keeps_its_reward_and_an_export_carries_it(place: Workspace, tmp_path: Path) -> None:
    values = {**GRPO, "model": "taught", "dataset": "grpo.jsonl", "reward": "mixed"}
    row = jobs.create(place, "grpo", values, name="with a reward")
    job = run_first(place, row)
    recorded = json.loads((job.folder / "attempts" / "1" / "provenance.json").read_text())["inputs"]["reward"]
    assert recorded == hashes(place.home / "rewards" / "mixed")
    assert set(recorded) == {"reward.yaml", "code.py", "cases.jsonl"}
    folder = tmp_path / "elsewhere"
    shutil.rmtree(place.home / "rewards")
    shutil.copytree(export(place, row.id, with_data=True).folder, folder)
    shutil.rmtree(place.models)
    ended = run_alone(folder)
    assert ended.returncode == 0, ended.stderr
    for name in ("loss", "reward", "rewards/custom_python/mean"):
        assert told(folder, name) == curve(job, name)
    (weights,) = (folder / "output").glob("*.safetensors")
    assert weights.read_bytes() == job.weights
    shutil.copytree(folder / "model", place.models / "taught")
    assert json.loads((write_run(place, row, 2, 1) / "run.json").read_text())["paths"]["reward"] == str(
        job.folder / "reward" / "mixed"
    )
    assert hashes(job.folder / "reward" / "mixed") == recorded


SLOW = """
import time

ended = None


def score(answers):
    global ended
    time.sleep(0.6 if ended is None else max(0.6, 1.5 * (time.monotonic() - ended)))
    ended = time.monotonic()
    return [float(len(answer["completion"])) for answer in answers]
"""
"""Takes 1.5 times as long as all else in a step, however long that is on the machine at hand."""


@pytest.mark.slow
def test_a_reward_that_takes_most_of_the_time_is_told_once(
    tmp_path: Path, files: dict[str, Path], taught: Path, mixed: Path
) -> None:
    save(
        mixed,
        Reward.model_validate({"functions": [{"kind": "custom_python", "takes": "batch", "seconds": 600}]}),
        SLOW,
        [],
    )
    job = job_of(tmp_path / "job", taught, files["grpo"], mixed, max_steps=13, batch_size=4)
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as reader:
        (said,) = [event for event in reader.events() if event.kind == "slow_reward"]
        assert len(reader.points("reward")[0]) == 13
    assert (said.level, said.step) == ("warning", 10)
    assert "ms an answer" in said.text
    assert "% of a step" in said.text

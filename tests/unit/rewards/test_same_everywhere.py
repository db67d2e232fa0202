"""The same inputs get the same reward from everyone: TRL, verl, evaluation, the command line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cli import main
from platform_core.algorithms.evaluate import EvaluateSpec
from platform_core.rewards import service
from platform_core.rewards.answer import Answer
from platform_core.rewards.scorer import Scorer, open_scorer
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import keep
from runners.engines.hf.evaluate import Questions
from runners.engines.hf.rewards import Failures, JobReward
from runners.engines.verl.reward import compute_score

FUNCTIONS: list[dict[str, Any]] = [
    {"kind": "exact_match", "weight": 0.5},
    {"kind": "numeric_match", "extraction": "boxed", "weight": 0.25},
    {"kind": "fuzzy_match", "weight": 0.1},
    {"kind": "format_check", "weight": 0.3},
    {"kind": "length", "most": 30, "slack": 20, "weight": 0.7},
    {"kind": "repetition", "size": 1},
]
PIECES = st.sampled_from(
    ["\\boxed{", "}", "<think>", "</think>", "<answer>", "</answer>", "42", "４２", "1/2", " the ", "#"]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=8).map("".join)
REFERENCES = st.sampled_from(["42", "1/2", "0.5", "the 42", "\\boxed{7}", "#### 42"])


class Quiet:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, kind: str, message: str, **more: object) -> None:
        self.events.append(kind)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    service.save(folder, "mixed", Reward.model_validate({"functions": FUNCTIONS, "clip_low": -1, "clip_high": 1}))
    keep(folder / "rewards" / "mixed", folder / "attempt" / "reward")
    return folder


@pytest.fixture(scope="module")
def scorer(home: Path) -> Iterator[Scorer]:
    with open_scorer(service.get(home, "mixed").reward) as opened:
        yield opened


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, REFERENCES), min_size=1, max_size=4))
def test_all_who_ask_get_the_same(home: Path, scorer: Scorer, asked: list[tuple[str, str]]) -> None:
    direct = scorer.score([Answer(c, r, "q", number=n) for n, (c, r) in enumerate(asked, start=1)])
    values = [score.value for score in direct]
    reward, logged = JobReward(scorer, Quiet()), {}  # type: ignore[arg-type]
    completions, references = [c for c, _ in asked], [r for _, r in asked]
    given_ids = [[0]] * len(asked)
    assert reward(["q"] * len(asked), completions, given_ids, references, logged.__setitem__) == values
    assert [reward.sample(at)["reward"] for at in range(len(values))] == values
    for at, name in enumerate(scorer.names):
        mean = sum(score.parts[at].value or 0.0 for score in direct) / len(direct)
        assert logged[f"rewards/{name}/mean"] == mean
    rows = [{"reference": r, "category": None, "row": {}, "number": n} for n, r in enumerate(references, start=1)]
    spec = EvaluateSpec(model="m", dataset="d", reward="mixed")
    evaluation = Questions(["q"] * len(asked), rows, spec, scorer, Failures(Quiet()))  # type: ignore[arg-type]
    judged = evaluation.judge([(at, 0) for at in range(len(asked))], "greedy", completions)
    assert [answer["reward"] for answer in judged] == values
    by_verl = [compute_score("d", c, r, {"number": 1, "row": None}, folder=str(home / "attempt")) for c, r in asked]
    assert [said["score"] for said in by_verl] == values
    alone = [scorer.score([Answer(c, r, "q")])[0].value for c, r in asked]
    assert alone == values


def test_the_command_line_says_the_same(home: Path, scorer: Scorer, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(home))
    asked = [("\\boxed{42} 42", "42"), ("<think>a</think><answer>1/2</answer>", "0.5"), ("", "42"), ("４２", "42")]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"completion": c, "reference": r}) + "\n" for c, r in asked))
    with redirect_stdout(io.StringIO()) as out:
        assert main(["rewards", "try", "mixed", "--answers", str(file), "--json"]) == 0
    said = [one["score"] for one in json.loads(out.getvalue())]
    assert said == [score.value for score in scorer.score([Answer(c, r) for c, r in asked])]


def test_a_reward_that_never_differs_is_told_once(scorer: Scorer) -> None:
    report = Quiet()
    reward = JobReward(scorer, report)  # type: ignore[arg-type]
    for _ in range(25):
        reward(["q"] * 2, ["42", "42"], [[0]] * 2, ["42"] * 2)
    assert report.events == ["constant_reward"]
    other = Quiet()
    reward = JobReward(scorer, other)  # type: ignore[arg-type]
    for _ in range(25):
        reward(["q"] * 2, ["42", "41"], [[0]] * 2, ["42"] * 2)
    assert other.events == []


def test_errors_are_told_a_few_times_with_their_rows(scorer: Scorer) -> None:
    report = Quiet()
    reward = JobReward(scorer, report)  # type: ignore[arg-type]
    assert reward(["q"] * 20, ["a"] * 20, [[0]] * 20, [""] * 20, number=list(range(20))) == [0.0] * 20
    assert report.events == ["reward_error"] * 5

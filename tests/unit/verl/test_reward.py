"""The reward that verl calls gives what the open reward gives, from the files that a runner leaves for it."""

from __future__ import annotations

import json
from pathlib import Path

from platform_core.files import write_json
from platform_core.rewards.answer import Answer
from platform_core.rewards.presets import exact_match_reward
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.store import save
from runners.engines.verl import reward


def test_verl_gets_the_same_score(tmp_path: Path) -> None:
    made = exact_match_reward("marker", "#")
    save(tmp_path / reward.FOLDER, made, None, ())
    write_json(tmp_path / reward.MODELS, {})
    answers = [Answer("1+2 is #3", "3", "1+2=", {}, 1), Answer("#4", "3", "1+2=", {}, 2), Answer("", "3", "", {}, None)]
    with open_scorer(made) as scorer:
        wanted = [score.value for score in scorer.score(answers)]
    found = [
        reward.compute_score(
            "sums", a.completion, a.reference, {"prompt": a.prompt, "number": a.number, "row": json.dumps({})},
            folder=str(tmp_path),
        )
        for a in answers
    ]  # fmt: skip
    assert [one["score"] for one in found] == wanted == [1.0, 0.0, 0.0]
    assert found[0]["rewards/exact_match"] == 1.0

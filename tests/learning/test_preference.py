"""Training on preferences teaches what is preferred, judged on pairs that were never trained on.

Of two answers the one whose last digit is greater is the better one. A loss of the wrong sign, or one that is detached
from the weights, fails here: see the numbers that each test asks for beside what the start model has.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from runners.engines.hf.reward_model import score
from tests.integration.engines.jobs import TRAINING, forked, make_job
from tests.rows import write_rows

Pair = dict[str, str]
SPEC = {**TRAINING, "learning_rate": 5e-3, "max_steps": 50, "batch_size": 16, "max_length": 24}
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "dpo": ("dpo", {}),
    "ipo": ("dpo", {"loss": "ipo"}),
    "cdpo": ("dpo", {"loss": "cdpo"}),
    "simpo": ("dpo", {"loss": "simpo"}),
    "kto": ("kto", {}),
    "orpo": ("orpo", {"odds_weight": 1.0}),
}


def answers(count: int, seed: int) -> list[Pair]:
    """Prompts of three digits, each with two answers of two digits, of which one ends higher by four or more."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        low = rng.randrange(6)
        high = rng.randrange(low + 4, 10)
        prompt = f"{seed}{rng.randrange(100):02}>"
        found.append(
            {"prompt": prompt, "chosen": f"{rng.randrange(10)}{high}", "rejected": f"{rng.randrange(10)}{low}"}
        )
    return found


TRAINED, HELD_OUT = answers(400, 1), answers(100, 2)


def data(folder: Path, kind: str) -> Path:
    rows: list[dict[str, object]] = [dict(pair) for pair in TRAINED]
    if kind == "kto":
        rows = [
            {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}
            for pair in TRAINED
            for side in ("chosen", "rejected")
        ]
    return write_rows(folder / "rows.jsonl", rows)


def leads(folder: Path) -> torch.Tensor:
    """By how much the chosen answer is likelier than the rejected one (log p), for each held-out pair."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)

    def likelihoods(side: str) -> torch.Tensor:
        rows = [tokenizer(p["prompt"] + p[side] + tokenizer.eos_token)["input_ids"] for p in HELD_OUT]
        begins = len(tokenizer(HELD_OUT[0]["prompt"])["input_ids"])
        ids = torch.tensor(rows)  # all of one length: every digit is a token
        chances = model(ids).logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])
        return chances[:, begins - 1 :, 0].sum(1)

    with torch.no_grad():
        return likelihoods("chosen") - likelihoods("rejected")


@pytest.mark.slow
@pytest.mark.parametrize("case", KINDS)
def test_the_chosen_answers_become_likelier(case: str, tmp_path: Path, start: Path) -> None:
    kind, more = KINDS[case]
    job = make_job(tmp_path / "job", kind, SPEC | more, model=start, dataset=data(tmp_path, kind))
    assert forked(job) == 0, job.log
    before, after = leads(start), leads(job.folder / "output")
    print(f"{case}: held-out margin {before.mean():.2f} to {after.mean():.2f} nats")
    assert (before > 0).float().mean() < 0.7
    assert (after > 0).float().mean() > 0.8
    assert after.mean() > before.mean() + 1.5


@pytest.mark.slow
def test_a_reward_model_ranks_pairs_that_it_has_not_seen(tmp_path: Path, start: Path) -> None:
    job = make_job(tmp_path / "job", "reward_model", SPEC, model=start, dataset=data(tmp_path, "reward_model"))
    assert forked(job) == 0, job.log
    prompts = [pair["prompt"] for pair in HELD_OUT]
    better, worse = (
        score(job.folder / "output", prompts, [p[side] for p in HELD_OUT], 8) for side in ("chosen", "rejected")
    )
    ranked = sum(b > w for b, w in zip(better, worse, strict=True))
    print(f"reward model: {ranked} of {len(better)} held-out pairs ranked right")
    assert ranked > 90

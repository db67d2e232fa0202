"""Learning from rewards raises the share of right answers to prompts that were never trained on.

After `a47>` 1 is right, after `b47>` 2. The start model has learned to answer that or 3, by halves: a loss of the wrong
sign ends at 0, one that is detached from the weights stays at a half.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job
from tests.rows import write_rows

RIGHT = (("a", "1"), ("b", "2"))
SPEC = {**TRAINING, "learning_rate": 5e-3, "adam_beta2": 0.98, "batch_size": 32, "max_steps": 30, "eval_every": 30}
SPEC |= {"max_completion_length": 4, "answer_extraction": "whole", "lr_scheduler": "constant_with_warmup"}
SPEC |= {"warmup_steps": 2}
GROUPS = {"num_generations": 8}
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "grpo": ("grpo", {**GROUPS, "loss_type": "grpo"}),
    "dapo": ("grpo", {**GROUPS, "clip_epsilon_high": 0.28, "mask_truncated": True}),
    "dr. grpo": ("grpo", {**GROUPS, "loss_type": "dr_grpo"}),
    "gspo": ("gspo", {**GROUPS, "minibatches": 2}),
    "cispo": ("cispo", {**GROUPS, "minibatches": 2, "learning_rate": 3e-3}),
    "rloo": ("rloo", GROUPS),
    "ppo": ("ppo", {"num_generations": 4, "minibatches": 2, "critic_learning_rate": 3e-3}),
    "spo": ("spo", {}),
}


@pytest.fixture(scope="session")
def undecided(tmp_path_factory: pytest.TempPathFactory, start: Path) -> Path:
    """A model that gives the right answer or 3."""
    folder, rng = tmp_path_factory.mktemp("undecided"), random.Random(0)
    lessons = ((letter, n, rng.choice((right, "3"))) for _ in range(4) for n in range(100) for letter, right in RIGHT)
    rows = ({"prompt": f"{letter}{n:02}>", "completion": answer} for letter, n, answer in lessons)
    spec = {**TRAINING, "adam_beta2": 0.98, "max_steps": 120, "batch_size": 64, "max_length": 16}
    job = make_job(folder / "sft", "sft", spec, model=start, dataset=write_rows(folder / "lessons.jsonl", rows))
    assert forked(job) == 0, job.log
    return job.folder / "output"


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Prompts to train on, and others to measure on."""
    folder, numbers = tmp_path_factory.mktemp("prompts"), random.Random(0).sample(range(100), 100)
    found = {}
    for name, part in (("validation_dataset", numbers[:16]), ("dataset", numbers[16:])):
        rows = ({"prompt": f"{letter}{n:02}>", "answer": right} for n in part for letter, right in RIGHT)
        found[name] = write_rows(folder / f"{name}.jsonl", rows)
    return found


def curve(job: Job, name: str) -> list[float]:
    with Reader(job.folder / "metrics.sqlite") as run:
        return list(run.points(name)[1].tolist())


@pytest.mark.parametrize("case", KINDS)
def test_the_share_of_right_answers_rises(case: str, tmp_path: Path, undecided: Path, prompts: dict[str, Path]) -> None:
    kind, more = KINDS[case]
    job = make_job(tmp_path / "job", kind, SPEC | more, model=undecided, **prompts)
    assert forked(job) == 0, job.log
    first, held_out = curve(job, "reward")[0], float(str(job.metrics["eval_reward"]))
    print(f"{case}: {first:.2f} right at first, {held_out:.2f} on held-out prompts after {SPEC['max_steps']} steps")
    assert 0.3 < first < 0.7
    assert held_out > 0.9
    assert ("frac_reward_zero_std" in job.metrics) == (kind not in ("ppo", "spo"))


def test_a_critic_learns_what_answers_are_worth_while_the_policy_waits(
    tmp_path: Path, undecided: Path, prompts: dict[str, Path]
) -> None:
    spec = SPEC | {"critic_learning_rate": 1e-2, "critic_warmup_steps": 29, "kl_coef": 0.0, "minibatches": 1}
    job = make_job(tmp_path / "job", "ppo", spec, model=undecided, **prompts)
    assert forked(job) == 0, job.log
    explained = curve(job, "value/explained_variance")
    assert explained[0] < 0.1
    assert sum(explained[-5:]) / 5 > 0.25  # before the first token nobody can know
    assert max(curve(job, "reward")) < 0.8

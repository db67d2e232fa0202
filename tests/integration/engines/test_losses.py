"""One step of each online algorithm against the formulas of its paper, written out plainly.

A trainer generates a rollout of two minibatches; its weights and those of its start model are moved a little, so that
ratios are not 1 and the KL is not 0; then its loss on the first minibatch is held against the reference, which runs a
model of its own with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.engines.jobs import TRAINING, forked, make_job

SPEC = {**TRAINING, "max_steps": 4, "batch_size": 8, "num_generations": 4, "max_completion_length": 5}
SPEC |= {"answer_extraction": "marker", "minibatches": 2, "kl_coef": 0.05, "clip_epsilon_high": 0.28}
LOW, HIGH, BETA = 0.2, 0.28, 0.05
Batch = dict[str, torch.Tensor]


class Seen:
    """What a rollout has left: log-probabilities of its tokens then, now and of the start model, rewards, lengths."""

    def __init__(self, trainer: Any) -> None:
        from trl.trainer import grpo_trainer, rloo_trainer

        for module in (grpo_trainer, rloo_trainer):  # rows stay in the order of their rewards
            module.shuffle_sequence_dict = lambda batch: batch
        trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        trainer.model.train()
        trainer.reward_funcs = [varied(trainer.reward)]
        if hasattr(trainer, "critic"):
            torch.nn.init.normal_(trainer.critic.head.weight, generator=torch.Generator().manual_seed(2))
        then = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        if trainer.ref_model is not None:
            moved(trainer.ref_model, 3)
        self.whole = trainer._generate_and_score_completions(next(iter(trainer.get_train_dataloader())))
        trainer._generate_and_score_completions = lambda inputs: self.whole
        self.batch: Batch = trainer._prepare_inputs([])
        count = len(self.batch["completion_ids"])
        self.scores, self.rewards = trainer.scores.clone(), trainer.scores[:count]
        self.mask, self.tokens = self.batch["completion_mask"].float(), self.whole["completion_mask"].sum()
        moved(trainer.model, 1)
        self.then = self.log_probs(trainer, then)
        self.log_ratio = self.log_probs(trainer, trainer.model.state_dict()) - self.then
        start = trainer.ref_model.state_dict() if trainer.ref_model is not None else then
        self.from_start = self.then - self.log_probs(trainer, start)
        self.whole_kl = (
            self.log_probs(trainer, then, self.whole) - self.log_probs(trainer, start, self.whole)
        ) * self.whole["completion_mask"]
        self.corrected = getattr(trainer.args, "use_bias_correction_kl", False)

    def log_probs(self, trainer: Any, weights: dict[str, torch.Tensor], of: Batch | None = None) -> torch.Tensor:
        from transformers import AutoModelForCausalLM

        batch = of or self.batch
        model = AutoModelForCausalLM.from_config(trainer.model.config)
        model.load_state_dict(weights)
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        with torch.no_grad():
            found = model(input_ids=ids, attention_mask=seen).logits.log_softmax(-1)
        width = batch["completion_ids"].size(1)
        return found[:, -width - 1 : -1].gather(2, batch["completion_ids"].unsqueeze(2)).squeeze(2)


def moved(model: Any, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * parameter.std() * torch.randn(parameter.shape, generator=draw)


def varied(reward: Any) -> Callable[..., list[float]]:
    """A reward between 0 and 1 that every completion has its own of."""

    def scores(completion_ids: list[list[int]], **more: Any) -> list[float]:
        reward(completion_ids=completion_ids, **more)
        return [sum(ids) % 11 / 10 for ids in completion_ids]

    return scores


def clipped(ratio: torch.Tensor, advantages: torch.Tensor, low: float = LOW, high: float = HIGH) -> torch.Tensor:
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def group_advantages(seen: Seen, scaled: bool = True) -> torch.Tensor:
    groups = seen.rewards.view(-1, 4)
    found = groups - groups.mean(1, keepdim=True)
    return (found / (groups.std(1, keepdim=True) + 1e-4) if scaled else found).view(-1, 1)


def penalized(seen: Seen, advantages: torch.Tensor) -> torch.Tensor:
    """Token losses of GRPO: clipped, with β times the k3 estimate of the KL to the start model."""
    d = seen.log_ratio + seen.from_start
    kl = torch.exp(-d) + d - 1
    if seen.corrected:
        kl = kl * seen.log_ratio.exp()
    return (clipped(seen.log_ratio.exp(), advantages) + BETA * kl) * seen.mask


def grpo(trainer: Any, seen: Seen) -> torch.Tensor:
    return (penalized(seen, group_advantages(seen)).sum(1) / seen.mask.sum(1)).mean()


def dapo(trainer: Any, seen: Seen) -> torch.Tensor:
    return penalized(seen, group_advantages(seen)).sum() / (seen.tokens / 2)  # two minibatches share the rollout


def dr_grpo(trainer: Any, seen: Seen) -> torch.Tensor:
    return (penalized(seen, group_advantages(seen, scaled=False)).sum(1) / trainer.max_completion_length).mean()


def gspo(trainer: Any, seen: Seen) -> torch.Tensor:
    ratio = ((seen.log_ratio * seen.mask).sum(1) / seen.mask.sum(1)).exp()
    return clipped(ratio, group_advantages(seen).flatten(), 3e-2, 4e-2).mean()


def cispo(trainer: Any, seen: Seen) -> torch.Tensor:
    now = seen.log_probs(trainer, trainer.model.state_dict())
    weighed = -seen.log_ratio.exp().clamp(max=1.02) * group_advantages(seen) * now * seen.mask
    return weighed.sum() / (seen.tokens / 2)


def rloo(trainer: Any, seen: Seen) -> torch.Tensor:
    rewards = (seen.rewards - BETA * seen.whole_kl.sum(1)[: len(seen.rewards)]).view(-1, 4)
    others = (rewards.sum(1, keepdim=True) - rewards) / 3
    return clipped((seen.log_ratio * seen.mask).sum(1).exp(), (rewards - others).flatten()).mean()


def ppo(trainer: Any, seen: Seen) -> torch.Tensor:
    gamma, lam = 0.9, 0.8
    with torch.no_grad():
        values = trainer.critic(seen.whole)
    lengths = seen.whole["completion_mask"].sum(1).tolist()
    advantages, returns = torch.zeros_like(values), torch.zeros_like(values)
    for row, length in enumerate(lengths):
        v = [*values[row, :length].tolist(), 0.0]
        r = (-BETA * seen.whole_kl[row, :length]).tolist()
        r[-1] += float(seen.scores[row])
        delta = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        for t in range(length):
            advantages[row, t] = sum((gamma * lam) ** k * delta[t + k] for k in range(length - t))
            returns[row, t] = advantages[row, t] + v[t]
    mask = seen.whole["completion_mask"].bool()
    kept = advantages[mask]
    white = torch.where(mask, (advantages - kept.mean()) / kept.std(correction=0), 0.0)
    count = len(seen.rewards)
    torch.testing.assert_close(seen.batch["returns"], returns[:count], atol=1e-5, rtol=1e-5)
    return (clipped(seen.log_ratio.exp(), white[:count], 0.2, 0.28) * seen.mask).sum() / (seen.tokens / 2)


def spo(trainer: Any, seen: Seen) -> torch.Tensor:
    surprise = seen.scores - seen.scores.mean()  # nothing is known yet: the mean of the rollout
    advantages = surprise / seen.scores.std()
    return penalized(seen, advantages[: len(seen.rewards)].unsqueeze(1)).sum() / (seen.tokens / 2)


CASES: dict[str, tuple[str, dict[str, object], Callable[[Any, Seen], torch.Tensor]]] = {
    "grpo": ("grpo", {"loss_type": "grpo"}, grpo),
    "dapo": ("grpo", {}, dapo),
    "dr. grpo": ("grpo", {"loss_type": "dr_grpo", "kl_correction": False}, dr_grpo),
    "gspo": ("gspo", {"clip_epsilon": 3e-2, "clip_epsilon_high": 4e-2, "kl_coef": 0.0}, gspo),
    "cispo": ("cispo", {"clip_epsilon_high": 1.02, "kl_coef": 0.0}, cispo),
    "rloo": ("rloo", {}, rloo),
    "ppo": ("ppo", {"gamma": 0.9, "gae_lambda": 0.8}, ppo),
    "spo": ("spo", {"num_generations": 1}, spo),
}


def in_the_trainer(check: Callable[[Any], None]) -> Callable[[], None]:
    """In a runner: look at the trainer in place of training."""

    def first() -> None:
        from runners.engines.hf import rollout

        def run_training(trainer: Any, run: object, report: object) -> dict[str, object]:
            check(trainer)
            return {"checked": 1}

        rollout.run_training = run_training  # type: ignore[assignment]

    return first


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_that_of_the_paper(case: str, tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    kind, more, reference = CASES[case]

    def check(trainer: Any) -> None:
        seen = Seen(trainer)
        assert len(set(seen.scores.tolist())) > 1, "all alike: nothing is compared"
        loss = trainer._compute_loss(trainer.model, seen.batch)
        expected = reference(trainer, seen)
        assert abs(expected) > 1e-3
        torch.testing.assert_close(loss.detach(), expected, atol=1e-5, rtol=1e-5)
        assert torch.autograd.grad(loss, trainer.model.get_input_embeddings().weight)[0].norm() > 1e-4

    job = make_job(tmp_path / "job", kind, SPEC | more, model=taught, dataset=files["grpo"])
    assert forked(job, in_the_trainer(check)) == 0, job.log
    assert job.metrics["checked"] == 1


def test_the_critics_loss_and_the_kl_in_the_reward() -> None:
    from runners.engines.hf.critic import explained_variance, token_kl, value_loss

    draw = torch.Generator().manual_seed(0)
    values, old, returns = (torch.randn(3, 4, generator=draw) for _ in range(3))
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).float()
    for clip in (0.2, None):
        errors = []
        for row, length in ((0, 4), (1, 2), (2, 1)):
            for t in range(length):
                v, o, r = (float(x[row, t]) for x in (values, old, returns))
                near = v if clip is None else o + max(-clip, min(clip, v - o))
                errors.append(0.5 * max((v - r) ** 2, (near - r) ** 2))
        assert value_loss(values, old, returns, mask, clip).item() == pytest.approx(sum(errors) / 7, abs=1e-6)
    assert explained_variance(returns, returns, mask) == 1.0
    assert explained_variance(torch.ones_like(returns), returns, mask) == pytest.approx(0, abs=1e-6)
    log_probs, reference = torch.log(torch.tensor([0.5, 0.2])), torch.log(torch.tensor([0.4, 0.3]))
    d = [math.log(0.5 / 0.4), math.log(0.2 / 0.3)]
    for name, expected in (("k1", d), ("k2", [x * x / 2 for x in d]), ("k3", [math.exp(-x) + x - 1 for x in d])):
        assert token_kl(log_probs, reference, name).tolist() == pytest.approx(expected, abs=1e-6)


def test_the_tracker_is_a_beta_distribution_that_fades_with_the_kl() -> None:
    from runners.engines.hf.tracker import ValueTracker

    settings = {"rho_min": 0.5, "rho_max": 0.9, "kl_half": 0.1, "prior_weight": 2.0}
    tracker = ValueTracker(["a", "b", "a", "c"], **settings)
    rows = tracker.rows_of(["a", "b", "c"])
    first = torch.tensor([1.0, 0.0, 0.0])
    assert tracker.baseline(rows, first).tolist() == pytest.approx([1 / 3] * 3)
    tracker.update(rows, first, {})
    state = {row: [0.9 * 2 / 3 + r, 0.9 * 4 / 3 + 1 - r] for row, r in zip(rows, first.tolist(), strict=True)}
    for kl, rho in ((0.0, 0.9), (0.05, 2**-0.5), (1.0, 0.5)):
        assert tracker.rho(kl) == pytest.approx(rho)
        tracker.update([rows[0], rows[0]], torch.tensor([1.0, 0.0]), {rows[0]: kl})
        alpha, beta = state[rows[0]]
        state[rows[0]] = [rho * alpha + 1, rho * beta + 1]
    expected = [state[row][0] / sum(state[row]) for row in rows]
    assert tracker.baseline(rows, first).tolist() == pytest.approx(expected)
    assert tracker.count.tolist() == pytest.approx([sum(state[row]) for row in rows])
    weights = [math.sqrt(v * (1 - v)) + 0.05 for v in expected]
    assert tracker.weights(0.05).tolist() == pytest.approx(weights)
    again = ValueTracker(["a", "b", "c"], **settings)
    tracker.last[1] = (torch.tensor([4, 5], dtype=torch.int32), torch.tensor([-0.5, -0.25]))
    again.load(tracker.state())
    assert again.weights(0.05).tolist() == tracker.weights(0.05).tolist()
    assert again.last[1][1].tolist() == [-0.5, -0.25]


def test_what_is_measured_since_the_last_visit_is_the_kl(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    def check(trainer: Any) -> None:
        seen = Seen(trainer)
        d = seen.log_ratio
        expected = ((d.exp() - d - 1) * seen.mask).sum(1) / seen.mask.sum(1)
        rows = trainer.tracker.rows_of(trainer.asked)[: len(expected)]
        with torch.no_grad():
            found = trainer.moved(seen.batch, rows)
        assert [found[row] for row in rows] == pytest.approx(expected.tolist(), abs=1e-5)
        assert min(found.values()) > 1e-4

    spec = SPEC | {"num_generations": 1, "kl_coef": 0.0}
    job = make_job(tmp_path / "job", "spo", spec, model=taught, dataset=files["grpo"])
    assert forked(job, in_the_trainer(check)) == 0, job.log
    assert job.metrics["checked"] == 1

"""SPO's value tracker (Xu and Ding 2025, arXiv 2509.13232): what is remembered of each prompt, how fast it fades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

KEPT_TOKENS = 512
"""Tokens of a prompt's last completion that are kept to measure how far the policy has moved: they stand in each
checkpoint."""


class ValueTracker:
    """A running mean v of each prompt's rewards with an effective count n: Beta(v·n, (1 − v)·n) for rewards of 0 and 1.

    At a visit n ← ρ·n + k and v ← (ρ·n·v + Σr) / n for k answers with rewards r, where ρ = 2^(−D/D_half) within
    [ρ_min, ρ_max] and D is the KL between the policies of the last and of this visit. The paper's α and β are v·n and
    (1 − v)·n; written so, rewards need not be 0 or 1.
    """

    def __init__(
        self, prompts: Sequence[str], *, rho_min: float, rho_max: float, kl_half: float, prior_weight: float
    ) -> None:
        self.rows = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        self.rho_min, self.rho_max, self.kl_half, self.prior_weight = rho_min, rho_max, kl_half, prior_weight
        size = len(self.rows)
        self.value = torch.zeros(size, dtype=torch.float64)
        self.count = torch.zeros(size, dtype=torch.float64)
        self.rewards = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
        """Sum and number of all rewards so far, the least and the largest (0 and 1 at least)."""
        self.last: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """Ids and log-probabilities of a prompt's last completion, by row."""

    def rows_of(self, prompts: Sequence[str]) -> list[int]:
        return [self.rows[prompt] for prompt in prompts]

    def prior(self, rewards: torch.Tensor) -> float:
        """What is expected of an unknown prompt: the mean reward so far, in the very first rollout its own."""
        total, number = self.rewards[:2].tolist()
        return total / number if number else float(rewards.double().mean())

    def baseline(self, rows: Sequence[int], rewards: torch.Tensor) -> torch.Tensor:
        """v of each row before its rewards are known (float64)."""
        chosen = torch.tensor(rows)
        return torch.where(self.count[chosen] > 0, self.value[chosen], self.prior(rewards))

    def rho(self, kl: float) -> float:
        """What a prompt's past is multiplied by after the policy has moved by `kl`."""
        return min(self.rho_max, max(self.rho_min, 2.0 ** (-kl / self.kl_half)))

    def update(self, rows: Sequence[int], rewards: torch.Tensor, kl: dict[int, float]) -> None:
        """Take in the rewards of a rollout; `kl`: how far the policy has moved, by row that was visited before."""
        prior = self.prior(rewards)
        by_row: dict[int, list[float]] = {}
        for row, reward in zip(rows, rewards.double().tolist(), strict=True):
            by_row.setdefault(row, []).append(reward)
        for row, found in by_row.items():
            known = self.count[row].item() > 0
            value, count = (self.value[row].item(), self.count[row].item()) if known else (prior, self.prior_weight)
            kept = self.rho(kl.get(row, 0.0)) * count
            self.count[row] = kept + len(found)
            self.value[row] = (kept * value + sum(found)) / (kept + len(found))
        every = rewards.double()
        total, number, least, most = self.rewards.tolist()
        self.rewards = torch.tensor(
            [
                total + every.sum().item(),
                number + len(every),
                min([least, *every.tolist()]),
                max([most, *every.tolist()]),
            ],
            dtype=torch.float64,
        )

    def weights(self, exploration: float) -> torch.Tensor:
        """How often each prompt is to be drawn: √(p(1 − p)) + ε, p being v within the range of rewards seen."""
        total, number, least, most = self.rewards.tolist()
        prior = total / number if number else (least + most) / 2
        value = torch.where(self.count > 0, self.value, prior)
        share = ((value - least) / (most - least)).clamp(0, 1)
        return (share * (1 - share)).sqrt() + exploration

    def state(self) -> dict[str, Any]:
        """Tensors for a checkpoint."""
        rows = sorted(self.last)
        return {
            "value": self.value,
            "count": self.count,
            "rewards": self.rewards,
            "rows": torch.tensor(rows, dtype=torch.int64),
            "ids": [self.last[row][0] for row in rows],
            "log_probs": [self.last[row][1] for row in rows],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.value, self.count, self.rewards = state["value"], state["count"], state["rewards"]
        kept = zip(state["rows"].tolist(), state["ids"], state["log_probs"], strict=True)
        self.last = {row: (ids, log_probs) for row, ids, log_probs in kept}

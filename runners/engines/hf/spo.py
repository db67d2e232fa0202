"""SPO (Xu and Ding 2025) on TRL's GRPOTrainer: a tracked value of each prompt in place of the group's mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from platform_core.algorithms.spo import SPOSpec
from runners.engines.hf.rollout import Rollouts, learn
from runners.engines.hf.tracker import KEPT_TOKENS, ValueTracker
from runners.job import Run
from runners.report import Report

TRACKER = "tracker.pt"
STEPS = 1 << 40
"""More than any training takes: seeds of its draws of prompts are seed · STEPS + step."""


class SPOTrainer(Rollouts, GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose baseline is the tracker's, and which draws the prompts that the tracker is unsure of."""

    grouped = False

    def __init__(self, *args: Any, spec: SPOSpec, **more: Any) -> None:
        super().__init__(*args, **more)
        self.spec = spec
        prompts = list(self.train_dataset["prompt"])
        self.tracker = ValueTracker(
            prompts,
            rho_min=spec.rho_min,
            rho_max=spec.rho_max,
            kl_half=spec.kl_half,
            prior_weight=spec.prior_weight,
        )
        self.row_of = torch.tensor(self.tracker.rows_of(prompts))
        self.asked: list[str] = []

    def choose(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.spec.prioritized:
            weights = self.tracker.weights(self.spec.exploration)[self.row_of]
            draw = torch.Generator().manual_seed(self.args.seed * STEPS + self.state.global_step)
            count = len(inputs) // self.num_generations
            chosen = torch.multinomial(weights, count, replacement=False, generator=draw).tolist()
            inputs = [self.train_dataset[row] for row in chosen for _ in range(self.num_generations)]
        self.asked = [row["prompt"] for row in inputs]
        return inputs

    def credit(self, scored: dict[str, torch.Tensor], mode: str) -> None:
        if mode == "eval":
            return  # the tracker knows nothing of held-out prompts
        known = (~self.scores.isnan()).nonzero().flatten().tolist()
        rows, rewards = self.tracker.rows_of(self.asked), self.scores.cpu()
        moved = self.moved(scored, rows)
        values = self.tracker.baseline(rows, rewards[known])
        surprise = (rewards - values)[known]
        advantages = torch.zeros(len(rows), dtype=torch.float64)
        advantages[known] = normalized(surprise)
        scored["advantages"] = advantages.float().to(scored["advantages"].device)
        self.tracker.update([rows[at] for at in known], rewards[known], moved)
        self._remember(scored, rows)
        self._tell(values, surprise, moved)

    def moved(self, scored: dict[str, torch.Tensor], rows: list[int]) -> dict[int, float]:
        """How far the policy has moved since the last visit of each prompt: KL(then ‖ now) in nats a token.

        Estimated on the prompt's last completion by e^d − d − 1, d being the new minus the old log-probability
        (Schulman 2020): unbiased and never negative.
        """
        first = {row: at for at, row in reversed(list(enumerate(rows))) if row in self.tracker.last}
        if not first:
            return {}
        device, pad = scored["prompt_ids"].device, self.processing_class.pad_token_id
        ids = pad_sequence([self.tracker.last[row][0].long() for row in first], batch_first=True, padding_value=pad)
        before = pad_sequence([self.tracker.last[row][1] for row in first], batch_first=True)
        lengths = torch.tensor([len(self.tracker.last[row][0]) for row in first])
        mask = (torch.arange(ids.size(1)) < lengths.unsqueeze(1)).long()
        at = list(first.values())
        now = self.log_probs_of(scored["prompt_ids"][at], scored["prompt_mask"][at], ids.to(device), mask.to(device))
        d = now.float().cpu() - before
        kl = ((d.exp() - d - 1) * mask).sum(1) / mask.sum(1)
        return dict(zip(first, kl.tolist(), strict=True))

    def _remember(self, scored: dict[str, torch.Tensor], rows: list[int]) -> None:
        log_probs, ids = self.log_probs(scored).float().cpu(), scored["completion_ids"].int().cpu()
        lengths = scored["completion_mask"].sum(1).clamp(max=KEPT_TOKENS).tolist()
        for at, row in enumerate(rows):
            if lengths[at]:
                self.tracker.last[row] = (ids[at, : lengths[at]].clone(), log_probs[at, : lengths[at]].clone())

    def _tell(self, values: torch.Tensor, surprise: torch.Tensor, moved: dict[int, float]) -> None:
        told = {"baseline": values.mean().item(), "abs_error": surprise.abs().mean().item()}
        told["seen"] = (self.tracker.count > 0).double().mean().item()
        if moved:
            told["kl"] = sum(moved.values()) / len(moved)
            told["rho"] = sum(map(self.tracker.rho, moved.values())) / len(moved)
        for name, value in told.items():
            self._metrics["train"][f"tracker/{name}"].append(value)

    def save_state(self, folder: Path) -> None:
        torch.save(self.tracker.state(), folder / TRACKER)

    def load_state(self, folder: Path) -> None:
        self.tracker.load(torch.load(folder / TRACKER, weights_only=True))


def normalized(surprise: torch.Tensor) -> torch.Tensor:
    """Advantages with mean 0 and standard deviation 1 over the rollout."""
    centred = surprise - surprise.mean()
    return centred / (centred.std() + 1e-6) if len(surprise) > 1 else centred


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's SPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, SPOSpec)
    return learn(
        run,
        report,
        SPOTrainer,
        GRPOConfig,
        beside,
        loss_type="dapo",
        entropy_coef=spec.entropy_coef,
        use_bias_correction_kl=spec.kl_correction,
    )


def beside(run: Run, tokenizer: Any) -> dict[str, Any]:
    """What SPO has beside the policy."""
    return {"spec": run.spec}

"""PPO (Schulman et al. 2017): ours on the rollouts, the clipped policy loss and the checkpoints of TRL's GRPOTrainer.

The critic has weights and an optimizer of its own, which take a step with each of the policy's.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from platform_core.algorithms.ppo import PPOSpec
from platform_core.errors import Problem
from runners.engines.hf.critic import (
    Critic,
    advantages_and_returns,
    explained_variance,
    load_critic,
    token_kl,
    value_loss,
    whitened,
)
from runners.engines.hf.rollout import Rollouts, learn
from runners.job import Run
from runners.report import Report

CRITIC = "critic.pt"


class PPOTrainer(Rollouts, GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose advantages are those of a critic, token by token."""

    grouped = False

    def __init__(self, *args: Any, critic: Critic, spec: PPOSpec, **more: Any) -> None:
        super().__init__(*args, **more)
        self.spec = spec
        self.critic = critic.to(self.accelerator.device).train()
        self.critic_optimizer = torch.optim.AdamW(
            critic.parameters(),
            lr=spec.critic_learning_rate,
            betas=(spec.adam_beta1, spec.adam_beta2),
            eps=self.args.adam_epsilon,
            weight_decay=0.0,
        )
        self.seen: dict[str, torch.Tensor] = {}

    def train(self, *args: Any, **more: Any) -> Any:
        self.add_callback(CriticStep(self))  # after those that look at the policy's gradients
        return super().train(*args, **more)

    def credit(self, scored: dict[str, torch.Tensor], mode: str) -> None:
        mask = scored["completion_mask"].float()
        mask = mask * (~self.scores.isnan()).float().unsqueeze(1)
        values = self.values(scored) * mask
        rewards = torch.zeros_like(values)
        last = (mask.sum(1).long() - 1).clamp(min=0)
        rewards[torch.arange(len(rewards)), last] = self.scores.nan_to_num(0.0).to(rewards.dtype)
        if "ref_per_token_logps" in scored:
            kl = token_kl(self.log_probs(scored), scored["ref_per_token_logps"], self.spec.kl_estimator) * mask
            rewards -= self.spec.kl_coef * kl
            self._metrics[mode]["kl"].append((kl.sum() / mask.sum().clamp(min=1)).item())
        advantages, returns = advantages_and_returns(
            rewards * mask, values, mask, self.spec.gamma, self.spec.gae_lambda
        )
        self._metrics[mode]["value/mean"].append((values.sum() / mask.sum().clamp(min=1)).item())
        self._metrics[mode]["value/explained_variance"].append(explained_variance(values, returns, mask))
        scored |= {"advantages": whitened(advantages, mask), "returns": returns, "old_values": values}

    def values(self, scored: dict[str, torch.Tensor]) -> torch.Tensor:
        """Values (B, T) of a whole rollout, a forward pass at a time."""
        names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
        rows = self.args.per_device_train_batch_size
        with self.accelerator.autocast():
            parts = [
                self.critic({name: scored[name][start : start + rows] for name in names})
                for start in range(0, len(scored["prompt_ids"]), rows)
            ]
        return torch.cat(parts)

    def _compute_loss(self, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen = inputs
        beta, self.beta = self.beta, 0.0  # the KL is in the reward
        try:
            loss: torch.Tensor = super()._compute_loss(model, inputs)
        finally:
            self.beta = beta
        return loss

    def training_step(self, *args: Any, **more: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*args, **more)
        batch, self.seen = self.seen, {}
        with self.accelerator.autocast():
            values = self.critic(batch)
            mask = batch["completion_mask"].float()
            critics = value_loss(values, batch["old_values"], batch["returns"], mask, self.spec.value_clip)
        (critics / self.current_gradient_accumulation_steps).backward()
        self._metrics["train"]["value/loss"].append(critics.item())
        return loss

    def step_critic(self) -> None:
        """The critic's update, at the policy's place in the schedule; the policy waits while the critic warms up."""
        rate = self.spec.critic_learning_rate * self.lr_scheduler.get_last_lr()[0] / self.args.learning_rate
        for group in self.critic_optimizer.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.critic.parameters(), self.args.max_grad_norm or math.inf).item()
        if not math.isfinite(norm):
            raise Problem(
                "The critic's gradient became NaN at step {step}: lower the critic's learning rate ({learning_rate}).",
                fields=("critic_learning_rate",),
                step=self.state.global_step + 1,
                learning_rate=self.spec.critic_learning_rate,
            )
        self._metrics["train"]["value/grad_norm"].append(norm)
        self.critic_optimizer.step()
        self.critic_optimizer.zero_grad()
        if self.state.global_step < self.spec.critic_warmup_steps:
            for parameter in self.model.parameters():
                parameter.grad = None

    def save_state(self, folder: Path) -> None:
        torch.save(
            {"critic": self.critic.state_dict(), "optimizer": self.critic_optimizer.state_dict()}, folder / CRITIC
        )

    def load_state(self, folder: Path) -> None:
        state = torch.load(folder / CRITIC, map_location=self.accelerator.device, weights_only=True)
        self.critic.load_state_dict(state["critic"])
        self.critic_optimizer.load_state_dict(state["optimizer"])


class CriticStep(TrainerCallback):  # type: ignore[misc]
    """Lets the critic take its step just before the policy does."""

    def __init__(self, trainer: PPOTrainer) -> None:
        self.trainer = trainer

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        self.trainer.step_critic()


def train(run: Run, report: Report) -> dict[str, object]:
    """Train as the job's PPOSpec says and leave the model in `run.output`; returns the last numbers."""
    spec = run.spec
    assert isinstance(spec, PPOSpec)
    return learn(run, report, PPOTrainer, GRPOConfig, beside, loss_type="dapo", entropy_coef=spec.entropy_coef)


def beside(run: Run, tokenizer: Any) -> dict[str, Any]:
    """What PPO has beside the policy."""
    spec = run.spec
    assert isinstance(spec, PPOSpec)
    folder = run.paths.get("critic_model", run.paths["model"])
    return {"critic": load_critic(folder, tokenizer, spec.gradient_checkpointing), "spec": spec}

"""The critic of PPO: a model of its own with a value head, its optimizer, and the formulas of its targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.utils import disable_dropout_in_model

from platform_core.errors import Problem
from platform_core.models.adapters import is_adapter
from runners.engines.hf.model import load_model, load_tokenizer


class Critic(nn.Module):
    """V(s) for every token of a completion: what is still to come of the reward before that token is written."""

    def __init__(self, trunk: nn.Module, head: torch.Tensor | None = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(trunk.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if head is not None:
            self.head.weight.data.copy_(head)
        disable_dropout_in_model(self)  # values at the rollout and in the update belong to the same function

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Values (B, T) of the T tokens of each completion, from the tokens before each."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        hidden = self.trunk(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        before = hidden[:, batch["prompt_ids"].size(1) - 1 : -1]
        return self.head(before.to(self.head.weight.dtype)).squeeze(-1).float()  # type: ignore[no-any-return]


def load_critic(folder: Path, tokenizer: PreTrainedTokenizerBase, checkpointing: bool = False) -> Critic:
    """A critic from a reward model, whose score becomes the value head, or from the trunk of a language model.

    Raises Problem for one with another tokenizer or more than one score.
    """
    if load_tokenizer(folder).get_vocab() != tokenizer.get_vocab():
        raise Problem(
            "{folder} has another tokenizer than the model that learns: a critic has to read the same tokens.",
            fields=("critic_model",),
            folder=str(folder),
        )
    head = None
    if is_adapter(folder) or not is_reward_model(folder):
        whole: Any = load_model(folder, tokenizer)
    else:
        whole = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
        head = whole.score.weight.data if hasattr(whole, "score") else None
        if head is None or head.size(0) != 1:
            raise Problem(
                "{folder} is a classifier without a single score: choose a reward model, or a language model.",
                fields=("critic_model",),
                folder=str(folder),
            )
    trunk = whole.base_model.requires_grad_(True)
    if checkpointing:
        trunk.gradient_checkpointing_enable({"use_reentrant": False})
    return Critic(trunk, head)


def is_reward_model(folder: Path) -> bool:
    """Whether a folder's config names a sequence classifier."""
    names = AutoConfig.from_pretrained(folder, trust_remote_code=False).architectures or []
    return any(name.endswith("ForSequenceClassification") for name in names)


def token_kl(log_probs: torch.Tensor, reference: torch.Tensor, estimator: str) -> torch.Tensor:
    """KL of each sampled token to the reference (Schulman 2020, “Approximating KL divergence”); same shape."""
    d = log_probs - reference
    return {"k1": d, "k2": d.square() / 2, "k3": torch.exp(-d) + d - 1}[estimator]


def advantages_and_returns(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalized advantage estimation (Schulman et al. 2016) over tokens (B, T), and the returns: targets of values.

    δ_t = r_t + γ·V_{t+1} − V_t,  A_t = δ_t + γλ·A_{t+1},  R_t = A_t + V_t;  V is 0 after the last token.
    """
    advantages = torch.zeros_like(values)
    after, running = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
    for t in reversed(range(values.size(1))):
        delta = rewards[:, t] + gamma * after - values[:, t]
        running = (delta + gamma * lam * running) * mask[:, t]
        advantages[:, t], after = running, values[:, t] * mask[:, t]
    return advantages, advantages + values


def whitened(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Values shifted and scaled to mean 0 and variance 1 over the tokens of `mask`, 0 elsewhere."""
    count = mask.sum().clamp(min=1)
    centred = (values - (values * mask).sum() / count) * mask
    return centred / ((centred.square().sum() / count).sqrt() + 1e-8)


def value_loss(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, clip: float | None
) -> torch.Tensor:
    """½·max((V − R)², (clip(V, V_old ± ε) − R)²), the mean over tokens (PPO2, Dhariwal et al. 2017)."""
    error = (values - returns).square()
    if clip is not None:
        near = old + (values - old).clamp(-clip, clip)
        error = torch.maximum(error, (near - returns).square())
    return 0.5 * (error * mask).sum() / mask.sum().clamp(min=1)


def explained_variance(values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> float:
    """1 − Var(R − V) / Var(R) over the tokens of `mask`: 1 is perfect, 0 no better than a constant."""
    kept = mask.bool()
    if kept.sum() < 2:
        return 0.0
    rest, whole = (returns - values)[kept].var(), returns[kept].var()
    return float(1 - rest / whole) if whole > 0 else 0.0

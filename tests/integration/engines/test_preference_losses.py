"""Each preference loss against its paper's formula, written plainly: value and gradient of one batch, to 1e-5."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from runners.engines.hf import preference_trainer
from runners.engines.hf.preference import pairs, rated
from runners.engines.hf.preference_trainer import PairLoss, PairTrainer, RatedTrainer
from runners.engines.hf.reward_model import whole

BARE: dict[str, Any] = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "report_to": "none"}
CONTEXT = 64


@pytest.fixture(scope="module")
def tokens(taught: Path) -> Any:
    return AutoTokenizer.from_pretrained(taught)


@pytest.fixture(scope="module")
def three(files: dict[str, Path]) -> list[dict[str, Any]]:
    """Three pairs of unlike lengths."""
    rows = [json.loads(line) for line in files["dpo"].read_text().splitlines()[:3]]
    rows[1]["rejected"] += "#9 then"
    rows[2]["chosen"] = "it is " + rows[2]["chosen"]
    return rows


def moved(folder: Path) -> Any:
    """The model some way from its start, so that no ratio is 1."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=noise))
    return model


def logp(model: Any, tokenizer: Any, prompt: str, answer: str) -> tuple[Tensor, int]:
    """log p(answer | prompt), token by token, and the number of its tokens."""
    asked = tokenizer(prompt)["input_ids"]
    said = tokenizer(prompt + answer + tokenizer.eos_token)["input_ids"][len(asked) :]
    total, seen = torch.zeros(()), list(asked)
    for token in said:
        total = total + model(torch.tensor([seen])).logits[0, -1].log_softmax(-1)[token]
        seen.append(token)
    return total, len(said)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def dpo(c: Tensor, r: Tensor, c0: Tensor, r0: Tensor, n: int, m: int) -> Tensor:
    return -torch.log(sigmoid(0.3 * (c - c0) - 0.3 * (r - r0)))


def cdpo(c: Tensor, r: Tensor, c0: Tensor, r0: Tensor, n: int, m: int) -> Tensor:
    better = sigmoid(0.3 * (c - c0) - 0.3 * (r - r0))
    return -0.8 * torch.log(better) - 0.2 * torch.log(1 - better)


def ipo(c: Tensor, r: Tensor, c0: Tensor, r0: Tensor, n: int, m: int) -> Tensor:
    return torch.square((c - c0) / n - (r - r0) / m - 1 / (2 * 0.3))


def simpo(c: Tensor, r: Tensor, c0: Tensor, r0: Tensor, n: int, m: int) -> Tensor:
    beta, gamma = 2.0, 1.0
    return -torch.log(sigmoid(beta / n * c - beta / m * r - gamma))


def odds(mean: Tensor) -> Tensor:
    return torch.exp(mean) / (1 - torch.exp(mean))


LOSSES: dict[str, tuple[PairLoss, Callable[..., Tensor]]] = {
    "sigmoid": (PairLoss("sigmoid", 0.3), dpo),
    "cdpo": (PairLoss("cdpo", 0.3, label_smoothing=0.2), cdpo),
    "ipo": (PairLoss("ipo", 0.3), ipo),
    "simpo": (PairLoss("simpo", 2.0, margin=0.5), simpo),
}


def gradients(model: Any, loss: Tensor) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()), allow_unused=False)])


def same(ours: Tensor, plain: Tensor) -> None:
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)


def pair_trainer(folder: Path, rows: list[dict[str, Any]], tokens: Any, out: Path, loss: PairLoss) -> PairTrainer:
    data = Dataset.from_dict(pairs(rows, tokens, CONTEXT, "rows").columns)
    args = DPOConfig(str(out), per_device_train_batch_size=3, max_length=None, **BARE)
    return PairTrainer(model=moved(folder), args=args, train_dataset=data, processing_class=tokens, loss=loss)


def one_batch(trainer: Any) -> Any:
    trainer.model.train()
    return trainer.data_collator(list(trainer.train_dataset))


@pytest.mark.parametrize("head", ["plain", "chunked"])
@pytest.mark.parametrize("name", [*LOSSES, "orpo"])
def test_losses_on_pairs(
    name: str, head: str, tmp_path: Path, taught: Path, tokens: Any, three: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if head == "chunked":
        monkeypatch.setattr(preference_trainer, "SMALL_LOGITS", 0)
    loss, paper = LOSSES.get(name, (PairLoss("orpo", 0.4), None))
    trainer = pair_trainer(taught, three, tokens, tmp_path, loss)
    ours = trainer.compute_loss(trainer.model, one_batch(trainer))
    model, start = moved(taught), AutoModelForCausalLM.from_pretrained(taught)
    found = []
    for row in three:
        (c, n), (r, m) = (logp(model, tokens, row["prompt"], row[side]) for side in ("chosen", "rejected"))
        c0, r0 = (logp(start, tokens, row["prompt"], row[side])[0].detach() for side in ("chosen", "rejected"))
        found.append((c, r, c0, r0, n, m))
    if paper is not None:
        plain = torch.stack([paper(*row) for row in found]).mean()
    else:
        likelihood = -sum(row[0] for row in found) / sum(row[4] for row in found)  # type: ignore[arg-type]
        ratios = [torch.log(sigmoid(torch.log(odds(c / n) / odds(r / m)))) for c, r, _, _, n, m in found]
        plain = likelihood - 0.4 * torch.stack(ratios).mean()
    same(ours, plain)
    same(gradients(trainer.model, ours), gradients(model, plain))
    seen = trainer._metrics["train"]
    assert seen["rewards/accuracies"] == [pytest.approx(sum(m > 0 for m in margins(name, found)) / 3)]
    assert seen["rewards/margins"] == [pytest.approx(sum(margins(name, found)) / 3 * loss.beta, rel=1e-3, abs=1e-5)]


def margins(name: str, found: list[Any]) -> list[float]:
    if name in ("simpo", "orpo"):
        return [(c / n - r / m).item() for c, r, _, _, n, m in found]
    return [((c - c0) - (r - r0)).item() for c, r, c0, r0, _, _ in found]


@pytest.mark.parametrize("name", ["sigmoid", "ipo"])
def test_what_trl_has_too_is_the_same(name: str, tmp_path: Path, taught: Path, tokens: Any, three: Any) -> None:
    ours = pair_trainer(taught, three, tokens, tmp_path, LOSSES[name][0])
    args = DPOConfig(str(tmp_path), beta=0.3, loss_type=[name], per_device_train_batch_size=3, **BARE)
    model = moved(taught)
    model.config._name_or_path = str(taught)
    stock = DPOTrainer(model=model, args=args, train_dataset=Dataset.from_list(three), processing_class=tokens)
    same(ours.compute_loss(ours.model, one_batch(ours)), stock.compute_loss(stock.model, one_batch(stock)))
    for metric in ("rewards/chosen", "rewards/margins", "rewards/accuracies", "logps/rejected", "num_tokens"):
        assert ours._metrics["train"][metric] == pytest.approx(stock._metrics["train"][metric], rel=1e-4), metric


def test_kto(tmp_path: Path, taught: Path, tokens: Any, three: Any) -> None:
    rows = [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row, side in zip(three, ("chosen", "rejected", "chosen"), strict=True)
    ]
    data = Dataset.from_dict(rated(rows, tokens, CONTEXT, "rows").columns)
    args = KTOConfig(
        str(tmp_path), beta=0.3, undesirable_weight=1.5, per_device_train_batch_size=3, max_length=None, **BARE
    )
    trainer = RatedTrainer(model=moved(taught), args=args, train_dataset=data, processing_class=tokens)
    ours = trainer.compute_loss(trainer.model, one_batch(trainer))
    model, start = moved(taught), AutoModelForCausalLM.from_pretrained(taught)

    def lead(prompt: str, answer: str) -> Tensor:
        return logp(model, tokens, prompt, answer)[0] - logp(start, tokens, prompt, answer)[0].detach()

    others = [rows[at - 1]["completion"] for at in range(3)]
    z0 = max(0.0, sum(lead(row["prompt"], other).item() for row, other in zip(rows, others, strict=True)) / 3)
    values = []
    for row in rows:
        ratio = lead(row["prompt"], row["completion"])
        values.append(1 - sigmoid(0.3 * (ratio - z0)) if row["label"] else 1.5 * (1 - sigmoid(0.3 * (z0 - ratio))))
    plain = torch.stack(values).mean()
    same(ours, plain)
    same(gradients(trainer.model, ours), gradients(model, plain))
    assert trainer._metrics["train"]["kl"] == [pytest.approx(z0, abs=1e-5)]


def test_reward_model(tmp_path: Path, taught: Path, tokens: Any, three: Any) -> None:
    ids = whole(Dataset.from_dict(pairs(three, tokens, CONTEXT, "rows", whole=True).columns))
    torch.manual_seed(4)
    model = AutoModelForSequenceClassification.from_pretrained(taught, num_labels=1)
    args = RewardConfig(str(tmp_path), center_rewards_coefficient=0.1, per_device_train_batch_size=3, **BARE)
    trainer = RewardTrainer(model=model, args=args, train_dataset=ids, processing_class=tokens)
    ours = trainer.compute_loss(trainer.model, one_batch(trainer))
    values = []
    for row in three:
        better, worse = (
            model(**tokens(row["prompt"] + row[side] + tokens.eos_token, return_tensors="pt")).logits[0, 0]
            for side in ("chosen", "rejected")
        )
        values.append(-torch.log(sigmoid(better - worse)) + 0.1 * (better + worse) ** 2)
    plain = torch.stack(values).mean()
    same(ours, plain)
    same(gradients(model, ours), gradients(model, plain))

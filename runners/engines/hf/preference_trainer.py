"""Losses on preferences, and TRL's trainers with them.

Rows come tokenized: `prompt_ids`, `chosen_ids` and `rejected_ids`, or `prompt_ids`, `completion_ids` and `label`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy, logsigmoid
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer
from trl.trainer.utils import use_adapter

SMALL_LOGITS = 64 << 20
"""Bytes of a batch's logits up to which computing them whole is faster than TRL's chunked head."""
WITHOUT_REFERENCE = ("simpo", "orpo")


@dataclass
class Answers:
    """Log-probabilities of answers: sums over their tokens and the number of tokens, both (pairs,)."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor

    def means(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities a token."""
        return self.chosen / self.chosen_tokens, self.rejected / self.rejected_tokens


@dataclass(frozen=True)
class PairLoss:
    """A loss on pairs: `name` sigmoid, cdpo, ipo, simpo or orpo.

    `beta` is DPO's and SimPO's β, IPO's τ, ORPO's λ; `label_smoothing` cDPO's ε; `margin` SimPO's γ/β.
    """

    name: str
    beta: float
    label_smoothing: float = 0.0
    margin: float = 0.0

    def __call__(self, policy: Answers, start: Answers | None) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The mean loss, and values a pair to be shown: the rewards and what makes up the loss."""
        if start is None:
            chosen, rejected = policy.means()
        else:
            chosen, rejected = policy.chosen - start.chosen, policy.rejected - start.rejected
        shown = {"rewards/chosen": self.beta * chosen.detach(), "rewards/rejected": self.beta * rejected.detach()}
        if self.name == "sigmoid":  # Rafailov et al. 2023, eq. 7
            losses = -logsigmoid(self.beta * (chosen - rejected))
        elif self.name == "cdpo":  # Mitchell 2023, "A note on DPO with noisy preferences", eq. 3
            lead, wrong = self.beta * (chosen - rejected), self.label_smoothing
            losses = -(1 - wrong) * logsigmoid(lead) - wrong * logsigmoid(-lead)
        elif self.name == "ipo":  # Azar et al. 2023, eq. 17; a token, as its authors told TRL
            lead = chosen / policy.chosen_tokens - rejected / policy.rejected_tokens
            losses = (lead - 1 / (2 * self.beta)) ** 2
        elif self.name == "simpo":  # Meng et al. 2024, eq. 6
            losses = -logsigmoid(self.beta * (chosen - rejected) - self.beta * self.margin)
        elif self.name == "orpo":  # Hong et al. 2024, eq. 6 and 7
            ratio = logsigmoid(log_odds(chosen) - log_odds(rejected))
            likelihood = -policy.chosen.sum() / policy.chosen_tokens.sum()
            shown |= {"log_odds_ratio": ratio.detach(), "nll_loss": likelihood.detach().expand_as(ratio)}
            losses = likelihood - self.beta * ratio
        else:
            raise ValueError(f"there is no loss on pairs called {self.name}")
        return losses.mean(), shown


def log_odds(logp: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) from log p, exact near 1."""
    logp = logp.clamp(max=-1e-7)
    return logp - torch.where(logp > -0.693, torch.log(-torch.expm1(logp)), torch.log1p(-torch.exp(logp)))


def save_one_adapter(model: Any) -> None:
    """Leave the copy of the adapter a training began with, TRL's reference, out of checkpoints and of the optimizer.

    A Trainer that resumes from a checkpoint with two adapters takes the copy and forgets the other one. The copy is
    made anew from the start model.
    """
    if "ref" in getattr(model, "peft_config", {}):
        model.save_pretrained = partial(model.save_pretrained, selected_adapters=["default"])
        for name, parameter in model.named_parameters():
            if ".ref." in name:
                parameter.requires_grad_(False)


class PairTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's DPOTrainer on tokenized pairs, with the losses above; without a reference model where none is needed."""

    def __init__(self, *args: Any, loss: PairLoss, **more: Any) -> None:
        self.loss = loss
        # What DPOTrainer has computed before the training, it needs no reference model for.
        more["args"].precompute_ref_log_probs = loss.name in WITHOUT_REFERENCE
        super().__init__(*args, **more)
        save_one_adapter(self.model)

    def _prepare_dataset(self, dataset: Any, *more: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, *more: Any) -> Any:
        return dataset

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False) -> Any:
        policy, outputs = self.answers(model, inputs, output_router_logits=True if self.aux_loss_enabled else None)
        start = None if self.loss.name in WITHOUT_REFERENCE else self.start(inputs)
        loss, shown = self.loss(policy, start)
        if self.aux_loss_enabled:
            loss = loss + self.router_aux_loss_coef * outputs.aux_loss
        self.note(inputs, shown | {"logps/chosen": policy.chosen.detach(), "logps/rejected": policy.rejected.detach()})
        return (loss, outputs) if return_outputs else loss

    def answers(self, model: Any, inputs: dict[str, Any], **more: Any) -> tuple[Answers, Any]:
        """What a model gives for the answers of a batch, which holds the chosen ones and then the rejected ones."""
        sent = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "use_cache": False}
        sent |= {name: value for name, value in more.items() if value is not None}
        mask = inputs["completion_mask"]
        labels = inputs["input_ids"].masked_fill(mask == 0, -100)
        if 4 * labels.numel() * self.model.config.get_text_config().vocab_size <= SMALL_LOGITS:
            outputs = model(**sent)
            logits, wanted = outputs.logits[:, -labels.shape[1] : -1], labels[:, 1:]
            logps = -cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted)
        else:
            outputs = model(**sent, labels=labels, fused_lm_head=True)
            logps = outputs.log_probs[:, 1 - labels.shape[1] :]
        sums, tokens = logps.sum(1).chunk(2), mask.sum(1).clamp(min=1).chunk(2)
        return Answers(*sums, *tokens), outputs

    def start(self, inputs: dict[str, Any]) -> Answers:
        """What the start model gives: the reference model, or the model without its adapter."""
        off: Any = nullcontext()
        if self.ref_model is None:
            model = self.accelerator.unwrap_model(self.model)
            off = use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None)
        checkpointing = disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs)
        with torch.no_grad(), checkpointing, off:
            return self.answers(self.ref_model or self.model, inputs)[0]

    def note(self, inputs: dict[str, Any], shown: dict[str, torch.Tensor]) -> None:
        """Keep a batch's means over all processes until they are logged."""
        shown["rewards/margins"] = shown["rewards/chosen"] - shown["rewards/rejected"]
        shown["rewards/accuracies"] = (shown["rewards/margins"] > 0).to(shown["rewards/margins"].dtype)
        sums = torch.stack([value.float().sum() for value in shown.values()])
        counts = torch.stack([sums.new_tensor(len(shown["rewards/margins"])), inputs["attention_mask"].sum().float()])
        *sums, pairs, tokens = self.accelerator.reduce(torch.cat([sums, counts]), "sum").tolist()
        mode = "train" if self.model.training else "eval"
        for name, value in zip(shown, sums, strict=True):
            self._metrics[mode][name].append(value / pairs)
        if mode == "train":
            self._total_train_tokens += int(tokens)
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


class Mismatched(DataCollatorForUnpairedPreference):  # type: ignore[misc]
    """Gives each prompt of a batch the answer of its neighbour, too: KTO measures its KL on those (eq. 7 of the paper).

    TRL pairs them once before the training, and so must keep one order of rows for all epochs.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        answers = [example["completion_ids"] for example in examples]
        others = [answers[-1], *answers[:-1]]
        return super().torch_call(  # type: ignore[no-any-return]
            [{**example, "KL_completion_ids": other} for example, other in zip(examples, others, strict=True)]
        )


class RatedTrainer(KTOTrainer):  # type: ignore[misc]
    """TRL's KTOTrainer on tokenized rows, in another order every epoch."""

    def __init__(self, *args: Any, processing_class: Any, **more: Any) -> None:
        collator = Mismatched(pad_token_id=processing_class.pad_token_id)
        super().__init__(*args, processing_class=processing_class, data_collator=collator, **more)
        self.args.train_sampling_strategy = "random"
        save_one_adapter(self.model)

    def _prepare_dataset(self, dataset: Any, *more: Any) -> Any:
        return dataset

"""Optimizers and learning-rate schedules that a Trainer does not make from its arguments alone."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from transformers import Trainer

from platform_core.algorithms.optimizer import OptimizerSpec
from platform_core.errors import Problem

NAMES = {"adamw_8bit": "adamw_bnb_8bit", "adafactor": "adafactor"}


def arguments(spec: OptimizerSpec) -> dict[str, Any]:
    """The optimizer in the words of TrainingArguments; raises Problem where bitsandbytes is missing."""
    if spec.optimizer == "adamw_8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise Problem(
            "8-bit AdamW needs the package bitsandbytes, which this machine's Python does not have: take AdamW or "
            "Adafactor, or install it into the environment of the job.",
            fields=("optimizer",),
        )
    return {"optim": NAMES[spec.optimizer]} if spec.optimizer in NAMES else {}


def set_up(trainer: Trainer, spec: OptimizerSpec) -> None:
    """Give the trainer its optimizer and the numbers of its schedule that depend on the count of steps."""
    if spec.optimizer == "muon":
        trainer.optimizer = MuonAdamW(trainer, spec)
    make = trainer.create_scheduler

    def create_scheduler(num_training_steps: int, optimizer: Any = None) -> Any:
        trainer.args.lr_scheduler_kwargs = schedule(spec, num_training_steps)
        return make(num_training_steps, optimizer)

    trainer.create_scheduler = create_scheduler


def schedule(spec: OptimizerSpec, steps: int) -> dict[str, Any]:
    """Arguments of the schedule beyond warm-up and count of steps, as transformers' get_scheduler takes them."""
    if spec.lr_scheduler == "cosine_with_min_lr":
        return {"min_lr_rate": spec.min_lr_ratio}
    if spec.lr_scheduler == "warmup_stable_decay":
        decay = min(max(1, round(steps * spec.decay_share)), max(1, steps - spec.warmup_steps))
        return {"num_decay_steps": decay, "min_lr_ratio": spec.min_lr_ratio}
    return {}


class MuonAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the matrices inside the layers, AdamW for embeddings, head, norms and biases.

    Updates of Muon are scaled to AdamW's size (Liu et al. 2025, Moonlight: 0.2·√max(rows, columns)), so that one
    learning rate suits both.
    """

    def __init__(self, trainer: Trainer, spec: OptimizerSpec) -> None:
        model = trainer.model
        ends = {id(layer.weight) for layer in (model.get_input_embeddings(), model.get_output_embeddings()) if layer}
        decayed = set(trainer.get_decay_parameter_names(model))
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for _, p in trained if p.ndim == 2 and id(p) not in ends]
        chosen = {id(p) for p in matrices}
        rest = [(name, p) for name, p in trained if id(p) not in chosen]
        adam = {"lr": spec.learning_rate, "betas": (spec.adam_beta1, spec.adam_beta2), "eps": trainer.args.adam_epsilon}
        groups = [
            {"params": [p for name, p in rest if name in decayed], "weight_decay": spec.weight_decay},
            {"params": [p for name, p in rest if name not in decayed], "weight_decay": 0.0},
        ]
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            muon = torch.optim.Muon(
                matrices,
                lr=spec.learning_rate,
                weight_decay=spec.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self.parts.append(muon)
        if filled := [group for group in groups if group["params"]]:
            self.parts.append(torch.optim.AdamW(filled, **adam))
        super().__init__([p for _, p in trained], {"lr": spec.learning_rate})
        self._share_groups()

    def _share_groups(self) -> None:
        # A schedule writes into these very dictionaries.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of all parts."""
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"state": {n: part.state_dict() for n, part in enumerate(self.parts)}, "param_groups": []}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for n, part in enumerate(self.parts):
            part.load_state_dict(state_dict["state"][n])
        self._share_groups()

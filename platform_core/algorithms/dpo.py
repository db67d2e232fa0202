"""DPO: direct preference optimization (Rafailov et al. 2023) and its kin IPO, cDPO and SimPO, on TRL's DPOTrainer."""

from __future__ import annotations

from typing import Literal

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.pairs import PairSpec
from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import setting

Loss = Literal["sigmoid", "ipo", "cdpo", "simpo"]
WITH_REFERENCE = ("sigmoid", "ipo", "cdpo")


class DPOSpec(PairSpec):
    model: str = setting(title="Model", help="The model that learns, usually after SFT.", pick="model")
    dataset: str = setting(title="Dataset", help="Prompts with a chosen and a rejected answer.", pick="dataset")
    loss: Loss = setting(
        "sigmoid",
        title="Loss",
        help="DPO: the standard. IPO: does not drive sure pairs apart without end. cDPO: some labels are wrong. "
        "SimPO: length-normalized and without a reference model, which saves its memory and compute.",
        group="Preference",
        labels={"sigmoid": "DPO", "ipo": "IPO", "cdpo": "cDPO", "simpo": "SimPO"},
    )
    beta: float = setting(
        0.1,
        title="Beta",
        help="How strongly the model is held near its start (β; IPO's τ): higher holds it tighter.",
        group="Preference",
        gt=0,
        le=100,
        step=0.05,
        recommended=(0.1, 0.5),
        shown_if={"loss": WITH_REFERENCE},
    )
    label_smoothing: float = setting(
        0.1,
        title="Wrong labels",
        help="Share of pairs whose two answers were probably swapped (ε of cDPO).",
        group="Preference",
        gt=0,
        lt=0.5,
        step=0.05,
        recommended=(0.05, 0.3),
        shown_if={"loss": ("cdpo",)},
    )
    simpo_beta: float = setting(
        2.0,
        title="SimPO beta",
        help="Scale of the mean log-probability of an answer's tokens, which is SimPO's reward.",
        group="Preference",
        gt=0,
        le=100,
        step=0.5,
        recommended=(2.0, 10.0),
        shown_if={"loss": ("simpo",)},
    )
    simpo_margin: float = setting(
        0.5,
        title="SimPO margin",
        help="By how much the chosen answer's reward shall lead, as a share of SimPO's β (γ/β).",
        group="Preference",
        ge=0,
        le=10,
        step=0.1,
        recommended=(0.0, 1.0),
        shown_if={"loss": ("simpo",)},
    )
    learning_rate: float = learning_rate_field(1e-6, 1e-6, 5e-6)

    @property
    def has_reference(self) -> bool:
        """Whether a second model is kept as it was; an adapter is taken off instead."""
        return self.tuning == "full" and self.loss in WITH_REFERENCE


ALGORITHM = Algorithm(
    name="dpo",
    title="DPO",
    summary="Teach a model which of two answers is better: preference pairs, no reward model. IPO, cDPO, SimPO, too.",
    icon="thumbs_up_down",
    role="train",
    learns_from="preferences",
    spec=DPOSpec,
    program="train",
    metrics=("rewards/margins", "rewards/accuracies", "loss", "logps/chosen", "logps/rejected", "grad_norm"),
    dataset_format="dpo",
    order=50,
)

"""Supervised fine-tuning: learn to answer prompts, loss on the answers (TRL's SFTTrainer)."""

from __future__ import annotations

from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.supervised import SupervisedSpec


class SFTSpec(SupervisedSpec, EngineSpec):
    """Prompts with answers, or conversations, learned as they are."""


ALGORITHM = Algorithm(
    name="sft",
    title="SFT",
    summary="Teach a model to answer: prompts with the answers you want.",
    icon="school",
    role="train",
    learns_from="texts",
    spec=SFTSpec,
    program="train",
    metrics=("loss", "mean_token_accuracy", "grad_norm", "learning_rate"),
    dataset_format="sft",
    engines=("hf", "verl"),
    order=30,
)

"""Reasoning distillation: answers with their reasoning, the tokens between tags weighted apart from the answer."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.supervised import SupervisedSpec
from platform_core.jobs.spec import cross_field, setting


def start_tag_field(advanced: bool = False) -> Any:
    """The field of the tag before the reasoning."""
    return setting(
        "<think>",
        title="Begins with",
        help="The tag before the reasoning.",
        group="Reasoning",
        advanced=advanced,
        min_length=1,
        max_length=100,
    )


def end_tag_field(advanced: bool = False) -> Any:
    """The field of the tag behind it."""
    return setting(
        "</think>",
        title="Ends with",
        help="The tag behind it; reasoning without one goes on to the end of the answer.",
        group="Reasoning",
        advanced=advanced,
        min_length=1,
        max_length=100,
    )


class ReasoningSpec(SupervisedSpec):
    """Which tokens are reasoning, and what they weigh."""

    model: str = setting(title="Model", help="The model that learns.", pick="model")
    dataset: str = setting(
        title="Dataset",
        help="Prompts with answers that carry their reasoning between tags, such as what a larger model wrote.",
        pick="dataset",
    )
    reasoning_weight: float = setting(
        0.5,
        title="Weight of reasoning",
        help="Of a token between the tags, and of the tags; a token of the answer weighs 1. The loss is the weighted "
        "mean.",
        group="Reasoning",
        ge=0,
        le=100,
        step=0.1,
        recommended=(0.1, 1.0),
    )
    reasoning_start: str = start_tag_field()
    reasoning_end: str = end_tag_field()

    @property
    def tags(self) -> tuple[str, str]:
        return self.reasoning_start, self.reasoning_end

    @model_validator(mode="after")
    def tags_differ(self) -> ReasoningSpec:
        if self.reasoning_start == self.reasoning_end:
            raise cross_field("Reasoning must begin and end with different tags.", "reasoning_end", "reasoning_start")
        return self


ALGORITHM = Algorithm(
    name="distill_reasoning",
    title="Distill reasoning",
    summary="Learn from answers that a larger model reasoned out: its thinking and its answer weighted apart.",
    icon="psychology",
    role="train",
    learns_from="teacher",
    spec=ReasoningSpec,
    program="train",
    metrics=("loss", "answer_loss", "reasoning_loss", "mean_token_accuracy", "grad_norm"),
    dataset_format="sft",
    order=36,
)

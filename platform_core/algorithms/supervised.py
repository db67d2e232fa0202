"""Settings of every algorithm that learns answers which are there before it begins: which tokens carry loss, how rows
are packed, how conversations are written."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.training import TrainingSpec
from platform_core.errors import Problem
from platform_core.jobs.spec import cross_field, setting
from platform_core.models.chat_template import LONGEST, check_template

OWN_TEMPLATE = {"chat_template": ("text",)}


class SupervisedSpec(TrainingSpec):
    """Prompts with answers, or conversations, learned by next-token prediction."""

    model: str = setting(title="Model", help="The model that learns.", pick="model")
    dataset: str = setting(title="Dataset", help="Rows with a prompt and the answer to learn.", pick="dataset")
    learning_rate: float = learning_rate_field(2e-5, 1e-5, 5e-5)
    batch_size: int = setting(
        8,
        title="Batch size",
        help="Rows in one forward pass (micro batch).",
        group="Optimizer",
        unit="rows",
        ge=1,
        le=65_536,
        recommended=(4, 32),
    )
    max_length: int = setting(
        1024,
        title="Sequence length",
        help="Longer rows are cut at the end.",
        group="Optimizer",
        unit="tokens",
        ge=8,
        le=10_000_000,
    )
    completion_only_loss: bool = setting(
        True,
        title="Loss on answers only",
        help="Off: the prompt's tokens carry loss, too.",
        group="Optimizer",
        advanced=True,
    )
    last_answer_only: bool = setting(
        False,
        title="Last answer only",
        help="Of a conversation only the assistant's last turn carries loss; the earlier ones are read.",
        group="Optimizer",
        advanced=True,
        shown_if={"completion_only_loss": (True,)},
    )
    packing: Literal["off", "best_fit", "wrapped"] = setting(
        "off",
        title="Packing",
        help="Several short rows share one of the full length, so that no time goes into padding. Whole rows stay "
        "apart: none sees another. A running text is cut wherever a row is full, and neighbours see each other.",
        group="Optimizer",
        advanced=True,
        labels={"off": "Off", "best_fit": "Whole rows, best fit", "wrapped": "A running text"},
    )
    chat_template: Literal["own", "chatml", "llama3", "plain", "text"] = setting(
        "own",
        title="Chat template",
        help="How a conversation is written for the model; it is saved with the model. ChatML, Llama 3 and plain are "
        "for models that have none.",
        group="Conversations",
        advanced=True,
        labels={
            "own": "The model's own",
            "chatml": "ChatML",
            "llama3": "Llama 3",
            "plain": "Plain: User, Assistant",
            "text": "A text of mine",
        },
    )
    chat_template_text: str | None = setting(
        None,
        title="Template",
        help="Jinja, as `chat_template` in tokenizer_config.json: it writes `messages`, and the beginning of an answer "
        "when `add_generation_prompt` is true. What stands between generation tags is what the assistant says.",
        group="Conversations",
        advanced=True,
        lines=8,
        max_length=LONGEST,
        shown_if=OWN_TEMPLATE,
    )
    neftune_alpha: float | None = setting(
        None,
        title="NEFTune",
        empty="none",
        help="Noise on the embeddings while training, alpha / √(tokens · width) (Jain et al. 2023): longer, often "
        "better answers from small sets of instructions. Empty: none.",
        group="Optimizer",
        advanced=True,
        gt=0,
        le=1000,
        recommended=(5, 15),
    )

    def total_steps(self, rows: int | None = None) -> int | None:
        # The packed rows of an epoch are known only after tokenizing.
        return self.max_steps if self.packing != "off" else super().total_steps(rows)

    @model_validator(mode="after")
    def template_is_one(self) -> SupervisedSpec:
        if self.chat_template != "text":
            return self
        if not self.chat_template_text:
            raise cross_field("Write the template, or choose one of the others.", "chat_template_text")
        try:
            check_template(self.chat_template_text)
        except Problem as problem:
            raise cross_field(problem.text.template, *problem.fields, **problem.text.values) from problem
        return self

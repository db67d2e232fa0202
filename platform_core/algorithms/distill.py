"""Offline distillation: a teacher answers the prompts of a dataset, and the student learns its answers (sequence-level
knowledge distillation, Kim and Rush 2016)."""

from __future__ import annotations

from platform_core.algorithms.distill_reasoning import ReasoningSpec, end_tag_field, start_tag_field
from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import setting


class DistillSpec(ReasoningSpec):
    """The teacher, how it answers, and all that is known of supervised learning."""

    model: str = setting(title="Student", help="The model that learns.", pick="model")
    teacher: str = setting(
        title="Teacher",
        help="The model whose answers are learned. It may have another tokenizer: answers are handed over as text.",
        pick="model",
    )
    dataset: str = setting(
        title="Prompts", help="Rows with a prompt; answers that stand in them are not read.", pick="dataset"
    )
    max_new_tokens: int = setting(
        256,
        title="Answer length",
        help="Tokens that the teacher may write.",
        group="Answers",
        unit="tokens",
        ge=1,
        le=1_000_000,
    )
    temperature: float = setting(
        0.0,
        title="Temperature",
        help="Of the teacher's answers; 0: always the most probable token.",
        group="Answers",
        ge=0,
        le=5,
        step=0.1,
        recommended=(0.0, 1.0),
    )
    answer_batch_size: int = setting(
        32,
        title="Prompts at once",
        help="Prompts that the teacher answers in one batch; what it has answered survives a pause and a crash.",
        group="Answers",
        unit="rows",
        advanced=True,
        ge=1,
        le=65_536,
    )
    keep_unfinished: bool = setting(
        False,
        title="Keep unfinished answers",
        help="On: answers that were cut at their length are learned, too, and with them not to stop.",
        group="Answers",
        advanced=True,
    )
    ask_as_chat: bool = setting(
        True,
        title="Ask as a chat",
        help="A prompt that is a plain text is put to a teacher that has a chat template as a user's message.",
        group="Answers",
        advanced=True,
    )
    reasoning_weight: float = setting(
        1.0,
        title="Weight of reasoning",
        help="Of a token between the tags, where the teacher reasons; a token of the answer weighs 1. The loss is the "
        "weighted mean.",
        group="Reasoning",
        advanced=True,
        ge=0,
        le=100,
        step=0.1,
        recommended=(0.1, 1.0),
    )
    reasoning_start: str = start_tag_field(advanced=True)
    reasoning_end: str = end_tag_field(advanced=True)


ALGORITHM = Algorithm(
    name="distill",
    title="Distill answers",
    summary="A larger model answers your prompts, and yours learns to answer like it.",
    icon="ink_pen",
    role="train",
    learns_from="teacher",
    spec=DistillSpec,
    program="train",
    metrics=("loss", "mean_token_accuracy", "grad_norm", "learning_rate"),
    dataset_format="distill",
    order=34,
)

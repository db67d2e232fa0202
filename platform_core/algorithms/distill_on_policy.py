"""On-policy distillation: the student answers, and learns at each of its tokens the teacher's distribution (GKD,
Agarwal et al. 2023; on TRL's DistillationTrainer)."""

from __future__ import annotations

import math
from typing import ClassVar

from platform_core.algorithms.optimizer import learning_rate_field
from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.training import TrainingSpec
from platform_core.jobs.spec import setting


class OnPolicySpec(TrainingSpec):
    """Who answers, and how far the student's distribution may be from the teacher's."""

    one_tokenizer: ClassVar[tuple[str, str]] = ("model", "teacher")

    model: str = setting(title="Student", help="The model that learns.", pick="model")
    teacher: str = setting(
        title="Teacher",
        help="The model whose distribution is learned; it must have the student's tokenizer.",
        pick="model",
    )
    dataset: str = setting(
        title="Prompts", help="Rows with a prompt; with a student's share below 1 also with an answer.", pick="dataset"
    )
    learning_rate: float = learning_rate_field(5e-6, 1e-6, 2e-5)
    batch_size: int = setting(
        8,
        title="Batch size",
        help="Prompts answered and learned from in one forward pass.",
        group="Optimizer",
        unit="prompts",
        ge=1,
        le=65_536,
        recommended=(8, 64),
    )
    max_completion_length: int = setting(
        256,
        title="Completion length",
        help="Tokens that the student may write.",
        group="Distillation",
        unit="tokens",
        ge=1,
        le=1_000_000,
    )
    beta: float = setting(
        1.0,
        title="Divergence",
        help="Between the two distributions at each token: 0 forward KL (the student covers all that the teacher "
        "does), 0.5 Jensen-Shannon, 1 reverse KL (it keeps to what the teacher does most).",
        group="Distillation",
        ge=0,
        le=1,
        step=0.1,
    )
    temperature: float = setting(
        1.0,
        title="Temperature",
        help="Of the student's answers, and of both distributions when they are compared.",
        group="Distillation",
        gt=0,
        le=5,
        step=0.1,
        recommended=(0.7, 1.2),
    )
    student_share: float = setting(
        1.0,
        title="Student's share",
        help="Share of the steps in which the student answers (λ of GKD); in the others the answers of the dataset "
        "are learned from.",
        group="Distillation",
        advanced=True,
        ge=0,
        le=1,
        step=0.1,
    )

    def total_steps(self, rows: int | None = None) -> int | None:
        if self.max_steps is not None or rows is None:
            return self.max_steps
        # TRL leaves out the prompts that do not fill a last step.
        prompts = self.batch_size * self.gradient_accumulation_steps
        return math.ceil(self.epochs * (self.trained_rows(rows) // prompts))


ALGORITHM = Algorithm(
    name="distill_on_policy",
    title="Distill on policy",
    summary="Your model answers, and a larger one of its family says at every token what it would have said.",
    icon="co_present",
    role="train",
    learns_from="teacher",
    spec=OnPolicySpec,
    program="train",
    metrics=("loss", "entropy", "completions/mean_length", "grad_norm", "learning_rate"),
    dataset_format="distill",
    order=35,
)

"""Evaluation by exact match or by any reward, greedy and sampled, with confidence intervals."""

from __future__ import annotations

from pydantic import model_validator

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.scored import ScoredSpec
from platform_core.jobs.spec import cross_field, setting


class EvaluateSpec(ScoredSpec):
    model: str = setting(title="Model", help="The model that is judged.", pick="model")
    dataset: str = setting(
        title="Evaluation set", help="Prompts with reference answers that the model has not seen.", pick="dataset"
    )
    greedy: bool = setting(True, title="Greedy", help="One answer a question, the most probable token each time.")
    samples: int = setting(
        0,
        title="Sampled answers",
        help="Answers a question at the temperature below. 0: none.",
        unit="answers",
        ge=0,
        le=256,
    )
    temperature: float = setting(
        1.0,
        title="Temperature",
        help="Of the sampled answers.",
        gt=0,
        le=5,
        step=0.1,
        advanced=True,
        group="Generation",
    )
    max_new_tokens: int = setting(
        256,
        title="Answer length",
        help="Tokens that the model may write.",
        unit="tokens",
        group="Generation",
        ge=1,
        le=1_000_000,
    )
    batch_size: int = setting(
        32,
        title="Batch size",
        help="Questions answered at once.",
        unit="rows",
        group="Generation",
        advanced=True,
        ge=1,
        le=65_536,
    )
    max_rows: int | None = setting(
        None,
        title="Rows used",
        empty="all",
        help="Empty: all rows.",
        unit="rows",
        group="Generation",
        advanced=True,
        ge=1,
    )

    @model_validator(mode="after")
    def asks_something(self) -> EvaluateSpec:
        if not self.greedy and not self.samples:
            raise cross_field(
                "Nothing to measure: turn greedy on, or ask for at least one sampled answer.", "greedy", "samples"
            )
        return self


ALGORITHM = Algorithm(
    name="evaluate",
    title="Evaluate",
    summary="Score a model on questions with known answers.",
    icon="fact_check",
    role="evaluate",
    spec=EvaluateSpec,
    program="evaluate",
    metrics=("exact_match", "sampled_accuracy", "greedy_reward", "sampled_reward"),
    dataset_format="evaluation",
    order=80,
)

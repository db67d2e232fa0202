"""The demo's seven jobs: a tokenizer, a model from nothing, what it learns, and how well it does after each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STAGE = "stage:"
"""A reference `stage:<name>` in a spec stands for the output of that stage's job."""


@dataclass(frozen=True)
class Stage:
    """One job of the demo: its name, kind and settings, and the stages whose output it needs."""

    name: str
    kind: str
    spec: dict[str, object]

    @property
    def needs(self) -> list[str]:
        """Names of the stages that the spec refers to."""
        texts = [value for value in self.spec.values() if isinstance(value, str)]
        return [text.removeprefix(STAGE) for text in texts if text.startswith(STAGE)]


def stages(seed: int, datasets: Mapping[str, str]) -> list[Stage]:
    """The stages in an order in which they can run; `datasets` are the names that `data.write_datasets` gave."""
    common: dict[str, object] = {"seed": seed, "cpu_slots": 1}
    optimizer: dict[str, object] = {"adam_beta2": 0.98, "weight_decay": 0.01}
    return [
        Stage(
            "tokenizer",
            "tokenizer",
            common | {"dataset": datasets["pretrain"], "vocab_size": 512, "context_length": 128},
        ),
        Stage(
            "pretrain",
            "pretrain",
            common
            | optimizer
            | {"tokenizer": f"{STAGE}tokenizer", "dataset": datasets["pretrain"], "max_steps": 100, "batch_size": 16}
            | {"learning_rate": 5e-3, "warmup_steps": 20, "max_length": 64, "context_length": 128},
        ),
        Stage(
            "sft",
            "sft",
            common
            | optimizer
            | {"model": f"{STAGE}pretrain", "dataset": datasets["sft"], "max_steps": 1000, "batch_size": 32}
            | {"learning_rate": 5e-3, "warmup_steps": 20, "max_length": 64, "logging_steps": 5},
        ),
        Stage(
            "grpo",
            "grpo",
            common
            | optimizer
            | {"model": f"{STAGE}sft", "dataset": datasets["grpo"], "max_steps": 40}
            | {
                "batch_size": 128,
                "num_generations": 8,
                "learning_rate": 2e-4,
                "lr_scheduler": "constant_with_warmup",
                "warmup_steps": 5,
            }
            | {"max_completion_length": 24, "answer_extraction": "marker"},
        ),
        _evaluation("base", "pretrain", common, datasets["heldout"], samples=0),
        _evaluation("sft", "sft", common, datasets["heldout"], samples=4),
        _evaluation("grpo", "grpo", common, datasets["heldout"], samples=4),
    ]


def _evaluation(name: str, model: str, common: dict[str, object], dataset: str, samples: int) -> Stage:
    spec = {"model": f"{STAGE}{model}", "dataset": dataset, "answer_extraction": "marker", "samples": samples}
    return Stage(f"evaluate-{name}", "evaluate", common | spec | {"max_new_tokens": 24, "batch_size": 500})

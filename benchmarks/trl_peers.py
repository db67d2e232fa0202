"""TRL's own trainers as a person's script would use them, each with its rows, for the training benchmark.

A new algorithm is one more entry of `PEERS`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass
class Bare:
    """What a person's own script begins with: the start model's folder, the rows, the settings in TRL's words."""

    model: Path
    rows: list[Row]
    settings: Row

    def parts(self) -> Row:
        """The arguments that all trainers take: model, data, tokenizer."""
        import torch
        from datasets import Dataset
        from transformers import AutoModelForCausalLM, AutoTokenizer

        return {
            "model": AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32),
            "train_dataset": Dataset.from_list(self.rows),
            "processing_class": AutoTokenizer.from_pretrained(self.model),
        }


@dataclass(frozen=True)
class Peer:
    """An algorithm: its kind, its rows, the settings beside `COMMON`, and TRL's own trainer for it.

    `length` is called the same here and there. `same`: the peer computes the same thing, so that its cost is a bar; PPO
    and SPO, which TRL does not have, are held against GRPO on as many completions, weighted tokens against plain ones.
    `start`: the stage of the demo whose model both begin with; what learns from its own answers has learned to answer.
    The kind `distill` has no line: it trains as `sft` does, once the teacher has answered.
    """

    kind: str
    rows: Callable[[int], list[Row]]
    trainer: Callable[[Bare], Any]
    spec: Row = field(default_factory=dict)
    length: Row = field(default_factory=lambda: {"max_length": 64})
    same: bool = True
    models: tuple[str, ...] = ("model",)
    start: str = "pretrain"


def pairs(sums: int = 1) -> list[Row]:
    """Sums worked out right, and with a wrong last result; `sums` of them in a row."""
    rng = random.Random(0)
    found = []
    for _ in range(1000):
        numbers = [(rng.randrange(100), rng.randrange(100)) for _ in range(sums)]
        prompt, result = f"{numbers[0][0]}+{numbers[0][1]}=", str(sum(numbers[-1]))
        told = " ".join(f"{a}+{b}={a % 10}+{b % 10}={a % 10 + b % 10} #{a + b}" for a, b in numbers)
        right = told.removeprefix(prompt)
        wrong = right.removesuffix(result) + str(sum(numbers[-1]) + 1)
        found.append({"prompt": prompt, "chosen": right, "rejected": wrong})
    return found


def rated(sums: int = 1) -> list[Row]:
    """The same answers, each with its label, in an order without a pattern."""
    made = [
        {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}
        for pair in pairs(sums)
        for side in ("chosen", "rejected")
    ]
    random.Random(1).shuffle(made)
    return made


def dpo(bare: Bare, **more: Any) -> Any:
    from trl import DPOConfig, DPOTrainer

    return DPOTrainer(args=DPOConfig(**bare.settings, **more), **bare.parts())


def simpo(bare: Bare) -> Any:
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    how = {"loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.0, "simpo_gamma": 1.0}
    return CPOTrainer(args=CPOConfig(**bare.settings, **how), **bare.parts())


def orpo(bare: Bare) -> Any:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    return ORPOTrainer(args=ORPOConfig(**bare.settings, beta=0.1), **bare.parts())


def kto(bare: Bare) -> Any:
    from trl import KTOConfig, KTOTrainer

    return KTOTrainer(args=KTOConfig(**bare.settings, beta=0.1), **bare.parts())


def reward_model(bare: Bare) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    torch.manual_seed(bare.settings["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(bare.model, num_labels=1, dtype=torch.float32)
    return RewardTrainer(args=RewardConfig(**bare.settings), **bare.parts() | {"model": model})


def answers(sums: int = 1) -> list[Row]:
    """Sums with their answers."""
    return [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs(sums)]


def sft(bare: Bare, **more: Any) -> Any:
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(args=SFTConfig(**bare.settings, **more), **bare.parts())


def prompts(_sums: int = 1) -> list[Row]:
    """Sums with the answer that the reward checks."""
    rng = random.Random(0)
    asked = [(rng.randrange(100), rng.randrange(100)) for _ in range(1000)]
    return [{"prompt": f"{a}+{b}=", "answer": str(a + b)} for a, b in asked]


def right(completions: list[str], answer: list[str], **more: Any) -> list[float]:
    """1 where the last number is the answer."""
    found = (re.findall(r"-?\d+", completion) for completion in completions)
    return [float(bool(numbers) and numbers[-1] == a) for numbers, a in zip(found, answer, strict=True)]


def grpo(bare: Bare, **more: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    how = {"num_generations": 8, "top_k": 0, "beta": 0.0, **more}
    return GRPOTrainer(reward_funcs=right, args=GRPOConfig(**bare.settings, **how), **bare.parts())


def rloo(bare: Bare) -> Any:
    from trl import RLOOConfig, RLOOTrainer

    how = {"num_generations": 8, "top_k": 0, "beta": 0.05}
    return RLOOTrainer(reward_funcs=right, args=RLOOConfig(**bare.settings, **how), **bare.parts())


def distill_on_policy(bare: Bare) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.distillation_config import DistillationConfig
    from trl.trainer.distillation_trainer import DistillationTrainer

    teacher = AutoModelForCausalLM.from_pretrained(bare.model, dtype=torch.float32)
    how = {"top_k": 0, "beta": 1.0, "temperature": 1.0}
    return DistillationTrainer(teacher_model=teacher, args=DistillationConfig(**bare.settings, **how), **bare.parts())


ANSWERS: Row = {"max_completion_length": 24}
GSPO: Row = {"importance_sampling_level": "sequence", "loss_type": "grpo", "epsilon": 3e-4, "epsilon_high": 4e-4}
PPO: Row = {"num_generations": 8, "kl_coef": 0.0, "minibatches": 1}
PEERS: dict[str, Peer] = {
    "sft": Peer("sft", answers, sft),
    "sft_packed": Peer("sft", answers, partial(sft, packing=True), {"packing": "best_fit"}),
    "dpo": Peer("dpo", pairs, dpo),
    "ipo": Peer("dpo", pairs, partial(dpo, loss_type=["ipo"]), {"loss": "ipo"}),
    "simpo": Peer("dpo", pairs, simpo, {"loss": "simpo"}),
    "orpo": Peer("orpo", pairs, orpo),
    "kto": Peer("kto", rated, kto),
    "reward_model": Peer("reward_model", pairs, reward_model),
    "grpo": Peer("grpo", prompts, grpo, {"num_generations": 8}, ANSWERS, start="sft"),
    "gspo": Peer("gspo", prompts, partial(grpo, **GSPO, steps_per_generation=4), {}, ANSWERS, start="sft"),
    "rloo": Peer("rloo", prompts, rloo, {"num_generations": 8, "kl_coef": 0.05}, ANSWERS, start="sft"),
    "distill_on_policy": Peer(
        "distill_on_policy", prompts, distill_on_policy, {}, ANSWERS, models=("model", "teacher"), start="sft"
    ),
    "distill_reasoning / sft": Peer("distill_reasoning", answers, sft, same=False),
    "ppo / grpo": Peer("ppo", prompts, grpo, PPO, ANSWERS, same=False, start="sft"),
    "spo / grpo": Peer("spo", prompts, grpo, {}, ANSWERS, same=False, start="sft"),
}

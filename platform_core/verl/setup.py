"""What a training on verl runs on and with, as far as its settings do not say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from platform_core.verl.override import Later

PROMPT = Later("tokens of the longest prompt")
STEPS = Later("steps")
EPOCHS = Later("epochs")
REWARD_ERRORS = "reward_errors.jsonl"


@dataclass(frozen=True)
class Reward:
    """A Python function that scores one completion, in verl's terms: a file, a name in it, constant arguments."""

    path: str
    name: str
    arguments: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """One attempt: its folder `run`, its model, the machine, and what is counted in the data.

    `plain`: the prompts are texts, to be read as they are, not chats. `resume`: the step of the checkpoint to go on
    from; `run`/global_step_<n> leads there.
    """

    run: Path
    model: Path
    critic: Path | None = None
    device: Literal["cpu", "cuda"] = "cuda"
    gpus_per_node: int = 1
    total_steps: int | Later = STEPS
    total_epochs: int | Later = EPOCHS
    prompt_length: int | Later = PROMPT
    plain: bool = False
    validation: bool = False
    eval_every: int | Later = STEPS
    resume: int | None = None
    reward: Reward | None = None
    ray_folder: str = "/tmp/lathe-ray"

    @property
    def train_file(self) -> str:
        return str(self.run / "train.parquet")

    @property
    def validation_file(self) -> str:
        return str(self.run / "validation.parquet")

    @property
    def checkpoints(self) -> str:
        """Where verl saves; each checkpoint is moved from there when it is whole."""
        return str(self.run / "saving")

    @property
    def rollouts(self) -> Path:
        return self.run / "rollouts"

    @property
    def validations(self) -> Path:
        return self.run / "validations"

    @property
    def metrics_file(self) -> Path:
        return self.run / "metrics.jsonl"

    @property
    def reward_errors(self) -> Path:
        """Where the reward tells of answers that it could not score, a line each: the sentence, and if it stops."""
        return self.run / REWARD_ERRORS

    @property
    def wish_file(self) -> Path:
        """Where the runner leaves "stop" or "pause"; the trainer looks at the end of each step."""
        return self.run / "wish"

    @property
    def started_from(self) -> str | None:
        return None if self.resume is None else str(self.run / f"global_step_{self.resume}")

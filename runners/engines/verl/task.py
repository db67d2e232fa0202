"""The Ray task that drives a training: verl's, with a trainer that asks at each step whether to save and to stop."""

from __future__ import annotations

from typing import Any

from verl.trainer.main_ppo import TaskRunnerV1
from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.debug import marked_timer

from runners.engines.verl.stepping import Stepping


class SteppingTrainer(PPOTrainerSync):  # type: ignore[misc]
    """verl's synchronous trainer; its loop ends when `global_steps` passes `total_training_steps`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.stepping = Stepping()
        self.stopped = False

    def on_step_end(self) -> None:
        # Before the new weights go to the rollout servers, as verl saves: they take memory again then.
        decided = self.stepping.decide(self.global_steps, self.total_training_steps)
        if decided.save:
            with marked_timer("save_checkpoint", self.timing_raw):
                self._save_checkpoint()
        super().on_step_end()
        if decided.stop:
            self.total_training_steps = self.global_steps
            self.stopped = True

    def on_train_end(self) -> None:
        super().on_train_end()
        if self.stopped:
            self.stepping.tell_stopped(self.total_training_steps)


class Task(TaskRunnerV1.__ray_metadata__.modified_class):  # type: ignore[misc]
    """`TaskRunnerV1` asks verl's registry for the trainer "sync"."""

    def run(self, config: Any) -> None:
        TRAINER_REGISTRY["sync"] = SteppingTrainer
        super().run(config)

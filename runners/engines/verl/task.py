"""The Ray task that drives a training: verl's, with a trainer that asks at each step whether to save and to stop."""

from __future__ import annotations

from typing import Any

import transfer_queue as tq
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
        self.told: dict[str, dict[str, Any]] = {}

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

    def _log_rollout_data(self, batch: Any, timing_raw: Any, rollout_data_dir: str) -> None:
        # Of a validation's answers verl writes down what the reward says of each function; of a training's it does not.
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        extra = (one.get("reward_extra_info", {}) for one in found.pop("extra_fields").tolist())
        self.told = dict(zip(batch.keys, extra, strict=True))
        super()._log_rollout_data(batch, timing_raw, rollout_data_dir)

    def _dump_generations(
        self, inputs: Any, outputs: Any, gts: Any, scores: Any, reward_extra_infos_dict: Any, dump_path: str
    ) -> None:
        told = [self.told.get(key, {}) for key in reward_extra_infos_dict.get("uid", ())]
        names = sorted({name for one in told for name in one if name.startswith("rewards/")})
        parts = {name: [one.get(name) for one in told] for name in names}
        super()._dump_generations(inputs, outputs, gts, scores, {**reward_extra_infos_dict, **parts}, dump_path)


class Task(TaskRunnerV1.__ray_metadata__.modified_class):  # type: ignore[misc]
    """`TaskRunnerV1` asks verl's registry for the trainer "sync"."""

    def run(self, config: Any) -> None:
        TRAINER_REGISTRY["sync"] = SteppingTrainer
        super().run(config)

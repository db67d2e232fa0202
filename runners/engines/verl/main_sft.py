"""verl's SFT trainer, started by torchrun; it asks at each step whether to save and to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import torch
import verl
from verl.trainer.sft_trainer import SFTTrainer
from verl.utils.distributed import destroy_global_process_group, initialize_global_process_group

from runners.engines.verl.stepping import Stepping

CONFIGS = str(Path(verl.__file__).parent / "trainer" / "config")


class SteppingTrainer(SFTTrainer):  # type: ignore[misc]
    """verl's loop looks at `save_freq` and `total_training_steps` after each step: they are set just before."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.stepping = Stepping()
        self.step = self.resume_global_step
        self.all_steps = self.total_training_steps
        # verl calls this on every rank at the end of a step, before it logs, saves and ends.
        self._end_of_step = self.training_client.step_profile
        self.training_client.step_profile = self.end_of_step

    def _build_dataloader(self) -> None:
        super()._build_dataloader()
        self.train_sampler.seed = self.config.trainer.seed  # verl shuffles every training alike

    def _build_ckpt_handler(self) -> None:
        super()._build_ckpt_handler()
        load = self.ckpt_handler._load_dataloader_state

        def load_within_an_epoch(path: str) -> None:
            # At the end of an epoch the loader's state is "exhausted": restored, verl would skip the next epoch.
            if self.ckpt_handler.resume_global_step % self.steps_per_epoch:
                load(path)

        self.ckpt_handler._load_dataloader_state = load_within_an_epoch

    def end_of_step(self) -> None:
        self._end_of_step()
        self.step += 1
        decided = [self.stepping.decide(self.step, self.all_steps)]
        if torch.distributed.get_world_size() > 1:  # one rank looks at the clock and the wish, all do the same
            torch.distributed.broadcast_object_list(decided, src=0)
        self.save_freq = 1 if decided[0].save else -1
        if decided[0].stop:
            self.total_training_steps = self.step


@hydra.main(config_path=CONFIGS, config_name="sft_trainer_engine", version_base=None)
def main(config: Any) -> None:
    """Train as the overrides say."""
    initialize_global_process_group()
    trainer = SteppingTrainer(config)
    trainer.fit()
    if trainer.total_training_steps < trainer.all_steps and trainer.rank == 0:
        trainer.stepping.tell_stopped(trainer.step)
    destroy_global_process_group()


if __name__ == "__main__":
    main()

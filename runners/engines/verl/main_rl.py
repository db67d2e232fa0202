"""verl's PPO trainer on Ray (`verl.trainer.main_ppo`), with a task runner of our own: verl's door for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import ray
import verl
from verl.trainer.main_ppo import run_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config

from runners.engines.verl.task import Task

CONFIGS = str(Path(verl.__file__).parent / "trainer" / "config")


@hydra.main(config_path=CONFIGS, config_name="ppo_trainer", version_base=None)
def main(config: Any) -> None:
    """Train as the overrides say, on a Ray of its own or on the cluster that they name."""
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    try:
        run_ppo(config, task_runner_class=ray.remote(Task))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()

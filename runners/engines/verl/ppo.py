"""PPO on verl, with a critic of its own (`adv_estimator=gae`)."""

from runners.engines.verl.rollout import train

__all__ = ["train"]

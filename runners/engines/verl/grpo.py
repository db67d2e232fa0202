"""GRPO on verl (`adv_estimator=grpo`)."""

from runners.engines.verl.rollout import train

__all__ = ["train"]

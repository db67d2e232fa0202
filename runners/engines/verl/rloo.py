"""RLOO on verl (`adv_estimator=rloo`)."""

from runners.engines.verl.rollout import train

__all__ = ["train"]

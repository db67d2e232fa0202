"""REINFORCE++ on verl (`adv_estimator=reinforce_plus_plus`)."""

from runners.engines.verl.rollout import train

__all__ = ["train"]

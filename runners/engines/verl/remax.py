"""ReMax on verl (`adv_estimator=remax`)."""

from runners.engines.verl.rollout import train

__all__ = ["train"]

"""GSPO on verl (`policy_loss.loss_mode=gspo`)."""

from runners.engines.verl.rollout import train

__all__ = ["train"]

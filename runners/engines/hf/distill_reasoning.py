"""Reasoning distillation: supervised learning with the tokens of the reasoning weighed apart."""

from __future__ import annotations

from runners.engines.hf.sft import train

__all__ = ["train"]

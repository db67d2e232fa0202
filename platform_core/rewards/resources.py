"""What the functions of an open reward share: its folder, models of the runner, and processes that end with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from platform_core.rewards.math_pool import MathPool

ModelScorer = Callable[[Sequence[str], Sequence[str]], list[float]]
"""Prompts and completions to one score each, by a reward model that the caller has loaded."""


@dataclass
class Resources:
    """`stack` closes whatever a function opens; `models` maps a reference to the callable of a loaded model."""

    stack: ExitStack
    folder: Path | None = None
    models: Mapping[str, ModelScorer] = field(default_factory=dict)
    workers: int = 2
    _math: MathPool | None = None

    def math(self) -> MathPool:
        """The pool of processes that compare mathematics, started once."""
        if self._math is None:
            self._math = self.stack.enter_context(MathPool(self.workers))
        return self._math

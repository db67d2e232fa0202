"""What the functions of an open reward share: its folder, models of the runner, and processes that end with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from platform_core.errors import Problem
from platform_core.rewards.math_pool import MathPool

CODE = "code.py"
LARGEST_CODE = 256 << 10

ModelScorer = Callable[[Sequence[str], Sequence[str]], list[float]]
"""Prompts and completions to one score each, by a reward model that the caller has loaded."""


@dataclass
class Resources:
    """`stack` closes whatever a function opens; `models` maps a reference to the callable of a loaded model."""

    stack: ExitStack
    folder: Path | None = None
    models: Mapping[str, ModelScorer] = field(default_factory=dict)
    workers: int = 2
    code: str | None = None
    _math: MathPool | None = None

    def math(self) -> MathPool:
        """The pool of processes that compare mathematics, started once."""
        if self._math is None:
            self._math = self.stack.enter_context(MathPool(self.workers))
        return self._math

    def source(self) -> str:
        """The code of the reward: what was given, else `code.py` in its folder; raises Problem when there is none."""
        if self.code is not None:
            return self.code
        file = self.folder / CODE if self.folder is not None else None
        if file is None or not file.is_file():
            raise Problem("This reward calls your own Python, but has no code yet: write its `code.py`.")
        if file.stat().st_size > LARGEST_CODE:
            raise Problem("{file} is larger than 256 KiB: that is no reward.", file=CODE)
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise Problem("{file} is not UTF-8 text: save it as such.", file=CODE) from None

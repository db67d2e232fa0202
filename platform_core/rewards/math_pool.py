"""Processes that compare mathematics, so that sympy's memory and endless powers stay out of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from platform_core.errors import Problem
from platform_core.rewards.worker import PYTHON, Worker, WorkerDied, WorkerPool, clean_environment
from platform_core.root import ROOT

GRACE = 1.0
REMEMBERED = 20_000
TOWER = re.compile(r"(?:\^|\*\*)[^+\-=,]{0,40}(?:\^|\*\*)|(?:\^|\*\*)\s*\{?\s*\d{5,}|\d{5,}\s*!|!\s*[)\]}]*\s*!")
"""Powers of powers, huge exponents and factorials: what no answer is, and what costs without end."""


@dataclass(frozen=True)
class Compared:
    """Whether answer and gold are equal; `late` when that could not be found out in time."""

    equal: bool
    gold_read: bool = True
    answer_read: bool = True
    late: bool = False


class MathPool:
    """Warm processes; one that hangs or dies is replaced. Equal questions are asked once."""

    def __init__(self, workers: int = 2) -> None:
        command = [PYTHON, "-m", "platform_core.rewards.math_worker"]
        environment = {**clean_environment(), "PYTHONPATH": str(ROOT)}
        self._pool = WorkerPool([Worker(command, environment) for _ in range(max(1, workers))])
        self._known: dict[tuple[str, str, int], Compared] = {}

    @property
    def started(self) -> int:
        """Processes started so far, replacements included."""
        return sum(worker.started for worker in self._pool.workers)

    def compare(self, pairs: Sequence[tuple[str, str]], precision: int, seconds: float) -> list[Compared]:
        """Each (gold, answer): equal as mathematics? `precision`: decimals that count; `seconds` for each pair."""
        asked = list(dict.fromkeys((gold, answer, precision) for gold, answer in pairs))
        known = {key: self._known[key] for key in asked if key in self._known}
        new = [key for key in asked if key not in known]
        found = self._pool.map(lambda worker, key: _compare(worker, key, seconds), new)
        known |= zip(new, found, strict=True)
        if len(self._known) + len(new) > REMEMBERED:
            self._known = {}
        self._known |= known
        return [known[gold, answer, precision] for gold, answer in pairs]

    def __enter__(self) -> MathPool:
        try:
            self._pool.start()
        except (OSError, TimeoutError, WorkerDied, ValueError) as error:
            self._pool.__exit__()
            raise Problem(
                "Mathematics can't be compared here: the process with math_verify does not start ({why}).",
                why=str(error) or type(error).__name__,
            ) from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.__exit__(*exception)


def _compare(worker: Worker, key: tuple[str, str, int], seconds: float) -> Compared:
    gold, answer, precision = key
    if TOWER.search(answer) and not TOWER.search(gold):
        return Compared(False, late=True)
    asked = {"gold": gold, "answer": answer, "precision": precision, "seconds": seconds}
    try:
        said = worker.call(asked, seconds + GRACE)
    except (TimeoutError, WorkerDied, ValueError):
        return Compared(False, late=True)
    if said.get("late"):
        return Compared(False, late=True)
    return Compared(bool(said["equal"]), bool(said["gold"]), bool(said["answer"]))

"""Every kind of reward function, found by listing the modules of this folder that declare `KIND`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from platform_core.errors import Problem
from platform_core.listing import declared_in
from platform_core.rewards.answer import Answer, Verdict
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.resources import Resources

Judge = Callable[[Sequence[Answer]], list[Verdict]]
"""Scores a batch: one verdict an answer, in order."""
Where = Literal["here", "pool", "sandbox", "model", "network"]


@dataclass(frozen=True)
class Kind:
    """A kind of function: what can be set, and how it is opened for scoring; `where` says what its work needs."""

    spec: type[RewardFunction]
    title: str
    summary: str
    icon: str
    open: Callable[[Any, Resources], Judge]
    where: Where = "here"
    needs_row: bool = False
    order: int = 100

    @property
    def name(self) -> str:
        return self.spec.kind


@cache
def kinds() -> dict[str, Kind]:
    """All kinds by name, in the order in which people meet them."""
    found = declared_in(__package__, "KIND", Kind)
    return {k.name: k for k in sorted(found, key=lambda k: (k.order, k.name))}


def kind(name: str) -> Kind:
    """The kind called `name`; raises Problem naming the known ones."""
    known = kinds()
    if name not in known:
        raise Problem("There is no reward function “{name}”; known are {known}.", name=name, known=", ".join(known))
    return known[name]

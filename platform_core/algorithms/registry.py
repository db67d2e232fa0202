"""Every kind of job the platform knows, found by listing the modules of this folder that declare `ALGORITHM`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from platform_core.errors import Problem
from platform_core.jobs.spec import JobSpec
from platform_core.listing import declared_in

Role = Literal["prepare", "train", "evaluate"]
Source = Literal["texts", "teacher", "preferences", "rewards"]


@dataclass(frozen=True)
class Algorithm:
    """A kind of job: what it is for, what can be set, what it needs and what to look at while it runs.

    `program` is the module in `runners/programs` that runs it; `dataset_format` a family of
    `platform_core.datasets.needs.NEEDS`; `metrics` the names to draw first, the first one is the sparkline; `makes`
    what its output is, as the library of models calls it; `learns_from` what teaches a training.
    """

    name: str
    title: str
    summary: str
    icon: str
    role: Role
    spec: type[JobSpec]
    program: str
    metrics: tuple[str, ...]
    dataset_format: str | None = None
    engines: tuple[str, ...] = ("hf",)
    order: int = 100
    makes: Literal["model", "reward_model"] = "model"
    learns_from: Source = "texts"


def engine_of(chosen: Algorithm, spec: JobSpec) -> str:
    """The engine that a spec asks for; of a kind that leaves no choice, its only one."""
    return str(getattr(spec, "engine", chosen.engines[0]))


@cache
def algorithms() -> dict[str, Algorithm]:
    """All kinds by name, in the order in which people meet them."""
    found = declared_in(__package__, "ALGORITHM", Algorithm)
    return {a.name: a for a in sorted(found, key=lambda a: (a.order, a.name))}


def algorithm(name: str) -> Algorithm:
    """The kind called `name`; raises Problem naming the known ones."""
    known = algorithms()
    if name not in known:
        raise Problem("There is no kind of job called “{name}”; known are {known}.", name=name, known=", ".join(known))
    return known[name]

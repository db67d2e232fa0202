"""What a rule of the doctor says: the words that rules, alerts and pages share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from platform_core.errors import Text

Level = Literal["info", "warning", "critical"]
LEVELS: tuple[Level, ...] = ("info", "warning", "critical")


@dataclass(frozen=True)
class Evidence:
    """What can be seen: a piece of a curve (`steps`, `values`; None for NaN) with the limit crossed, or log lines."""

    metric: str = ""
    steps: tuple[int, ...] = ()
    values: tuple[float | None, ...] = ()
    limit: float | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fix:
    """A change to the settings that is likely to help; `changes` maps names of settings to new values."""

    says: Text
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """One finding of one rule about one job (or its host): what, why it matters, what to change."""

    rule: str
    level: Level
    what: Text
    why: Text
    fix: Fix | None = None
    step: int | None = None
    evidence: Evidence = Evidence()

"""What a look at the machine finds: named checks with what was found, what is needed and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from platform_core.errors import Text, text

Status = Literal["ok", "warning", "problem"]
SIGNS: dict[Status, str] = {"ok": "✓", "warning": "!", "problem": "✗"}
RANK: dict[Status, int] = {"ok": 0, "warning": 1, "problem": 2}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: a problem keeps lathe from working, a warning only something of it."""

    name: Text
    found: Text
    status: Status = "ok"
    needed: Text | None = None
    hint: Text | None = None


@dataclass(frozen=True)
class Section:
    """Checks that belong together."""

    name: Text
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Disk:
    """The disk of the workspace, in bytes."""

    total: int
    free: int


@dataclass(frozen=True)
class Report:
    """All checks; `disk` is None when it can't be read."""

    sections: tuple[Section, ...]
    disk: Disk | None
    seconds: float

    @property
    def status(self) -> Status:
        """The worst of all checks."""
        return max((c.status for s in self.sections for c in s.checks), key=lambda s: RANK[s], default="ok")

    def as_json(self) -> dict[str, object]:
        """The report in English, for `lathe doctor --json` and the API."""
        return {
            "status": self.status,
            "disk": None if self.disk is None else {"total": self.disk.total, "free": self.disk.free},
            "seconds": self.seconds,
            "sections": [{"name": str(s.name), "checks": [_check_json(c) for c in s.checks]} for s in self.sections],
        }


def _check_json(check: Check) -> dict[str, object]:
    return {
        "name": str(check.name),
        "found": str(check.found),
        "needed": None if check.needed is None else str(check.needed),
        "status": check.status,
        "hint": None if check.hint is None else str(check.hint),
    }


def value(found: object) -> Text:
    """Something that reads the same in every language: a number, a name, a version."""
    return text("{value}", value=str(found))


def gibibytes(number: float) -> Text:
    """Bytes in GiB."""
    return text("{n:.1f} GiB", n=number / 2**30)


def looked_at(name: Text, look: Callable[[], Check]) -> Check:
    """The check that `look` makes; whatever goes wrong in it becomes a warning that says so."""
    return all_looked_at(name, lambda: [look()])[0]


def all_looked_at(name: Text, look: Callable[[], list[Check]]) -> list[Check]:
    """The checks that `look` makes, or one warning that says what went wrong."""
    try:
        return look()
    except Exception as error:  # a broken machine must not break the report about it
        found = text("could not be looked at ({kind}: {reason})", kind=type(error).__name__, reason=str(error)[:200])
        return [Check(name, found, "warning")]

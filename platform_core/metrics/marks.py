"""Steps at which something happened to a run, for thin lines in its curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from platform_core.metrics.reader import Event, Reader

Kind = Literal["paused", "resumed", "retried", "checkpoint", "evaluated", "alert"]
KINDS: tuple[Kind, ...] = ("paused", "resumed", "retried", "checkpoint", "evaluated", "alert")
MOST = 60


@dataclass(frozen=True)
class Mark:
    """Something at a step; `until`: the last of the steps that ran again; `about` says what in its own words."""

    kind: Kind
    step: int
    until: int | None = None
    about: str = ""


def told(run: Reader, retried: Iterable[int] = ()) -> list[Mark]:
    """What the run itself told: checkpoints and where attempts went on; the newest `MOST` of them.

    `retried` are the numbers of attempts that began by themselves after a failure.
    """
    again = set(retried)
    return [_mark(event, again) for event in run.newest_events(("resumed", "checkpoint"), MOST)]


def _mark(event: Event, retried: set[int]) -> Mark:
    if event.kind == "checkpoint":
        return Mark("checkpoint", int(event.data.get("at", event.step or 0)))
    step, reported = event.step or 0, event.data.get("reported")
    until = int(reported) if isinstance(reported, int) and reported > step else None
    return Mark("retried" if event.data.get("attempt") in retried else "resumed", step, until)


def bounded(marks: Sequence[Mark]) -> list[Mark]:
    """Each mark once, in order of steps; checkpoints give way when there are more than `MOST`."""
    once = sorted(dict.fromkeys(marks), key=lambda mark: (mark.step, KINDS.index(mark.kind)))
    loud = [mark for mark in once if mark.kind != "checkpoint"]
    quiet = [mark for mark in once if mark.kind == "checkpoint"]
    kept = loud[-MOST:] + quiet[len(quiet) - max(0, MOST - len(loud)) :]
    return sorted(kept, key=lambda mark: mark.step)

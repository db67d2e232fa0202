"""A rule of the doctor: what it is called, what it looks at, and the function that looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Level
from platform_core.errors import Text

When = Literal["live", "ended", "both"]


@dataclass(frozen=True)
class Rule:
    """`explains`: what is looked at, with which limits; `suggests`: what is changed then; `level`: the worst it says.

    `about`: whose trouble it is, the job's or its host's. `leads_to` names rules whose findings follow from this one,
    so that the cause is told and not its consequences, too.
    """

    name: str
    title: Text
    level: Level
    explains: Text
    suggests: Text
    examine: Callable[[Case], Diagnosis | None]
    when: When = "both"
    about: Literal["job", "host"] = "job"
    leads_to: tuple[str, ...] = ()

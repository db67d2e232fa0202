"""A runner that somebody or something else ended."""

from __future__ import annotations

import signal

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence
from platform_core.doctor.rule import Rule
from platform_core.errors import text


def examine(case: Case) -> Diagnosis | None:
    """The attempt's cause: killed or rebooted, and no out-of-memory kill, which the keeper would have seen."""
    if not case.failed or case.cause not in ("killed", "rebooted"):
        return None
    number = None if case.attempt is None else case.attempt.signal
    if case.cause == "rebooted":
        said = text("The machine was started anew while the job ran.")
    elif number is None:
        said = text("The runner was killed from outside.")
    else:
        said = text("The runner was killed from outside by {signal}, not for its memory.", signal=_name(number))
    return Diagnosis(
        RULE.name,
        "warning",
        said,
        text("Nothing is wrong with the job itself: started again, it goes on from its last whole checkpoint."),
        None,
        case.last_step,
        Evidence(lines=tuple(case.log_lines[-3:])),
    )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


RULE = Rule(
    name="killed",
    title=text("Killed from outside"),
    level="warning",
    explains=text(
        "An attempt ended by a signal from outside or a reboot, and its kernel counted no out-of-memory kill."
    ),
    suggests=text("No change is needed: started again, it goes on."),
    examine=examine,
    when="ended",
)

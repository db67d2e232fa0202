"""A crash in native code."""

from __future__ import annotations

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence
from platform_core.doctor.rule import Rule
from platform_core.errors import text


def examine(case: Case) -> Diagnosis | None:
    """The attempt's cause: a signal such as SIGSEGV that the process brought upon itself."""
    if not case.failed or case.cause != "crashed":
        return None
    return Diagnosis(
        RULE.name,
        "critical",
        text(
            "The runner crashed in native code (signal {signal}).", signal=case.attempt.signal if case.attempt else None
        ),
        text("Such crashes come from a library, a driver or faulty memory, seldom from the settings."),
        None,
        case.last_step,
        Evidence(lines=tuple(line[:300] for line in case.log_lines[-5:])),
    )


RULE = Rule(
    name="crashed",
    title=text("Crash in native code"),
    level="critical",
    explains=text("An attempt was ended by a signal that the process itself caused, such as SIGSEGV."),
    suggests=text("No setting mends it: look at the end of the log."),
    examine=examine,
    when="ended",
)

"""A Python package or a system library that is not there."""

from __future__ import annotations

import re

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis, Evidence, Fix
from platform_core.doctor.rule import Rule
from platform_core.errors import text

MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
LIBRARY = re.compile(r"(?:ImportError|OSError): (?:[^:]*: )?(lib[\w+.-]+\.so[\w.]*): cannot open shared object file")
PACKAGE = re.compile(
    r"(?:ImportError|RuntimeError|ValueError): .{0,200}?(?:requires|pip install|Please install) [`'\"]?([\w-]+)"
)


def examine(case: Case) -> Diagnosis | None:
    """Python's own words in the log of a failed attempt; the last one counts."""
    if not case.failed:
        return None
    for line in reversed(case.log_lines):
        for pattern in (MODULE, LIBRARY, PACKAGE):
            found = pattern.search(line)
            if found:
                name = found[1].split(".")[0] if pattern is MODULE else found[1]
                return _found(case, name, line, pattern is LIBRARY)
    return None


def _found(case: Case, name: str, line: str, system: bool) -> Diagnosis:
    return Diagnosis(
        RULE.name,
        "critical",
        text("The library {name} is missing.", name=name)
        if system
        else text("The package {name} is missing.", name=name),
        text("The program can't begin without it, however often it is started."),
        Fix(
            text("Install the system package that has {name}, then start the job again.", name=name)
            if system
            else text(
                "Install {name} into the platform's environment (`make setup`), then start the job again.", name=name
            )
        ),
        None,
        Evidence(lines=(line[:300],)),
    )


RULE = Rule(
    name="missing_dependency",
    title=text("Dependency missing"),
    level="critical",
    explains=text("The log of a failed attempt says that a Python module or a shared library is not there."),
    suggests=text("The package to install; no setting."),
    examine=examine,
    when="ended",
    leads_to=("dataset_broken",),
)

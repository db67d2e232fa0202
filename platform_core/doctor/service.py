"""The doctor's verbs: know the rules, examine a case."""

from __future__ import annotations

import logging
from functools import cache

from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import LEVELS, Diagnosis
from platform_core.doctor.rule import Rule
from platform_core.jobs.states import ENDED
from platform_core.listing import declared_in

log = logging.getLogger("lathe.doctor")


@cache
def rules() -> dict[str, Rule]:
    """All rules by name, found by listing the modules of `rules/` that declare `RULE`."""
    found = declared_in("platform_core.doctor.rules", "RULE", Rule)
    return {rule.name: rule for rule in sorted(found, key=lambda rule: rule.name)}


def host_rules() -> frozenset[str]:
    """Names of the rules that are about a host, whichever job shows it."""
    return frozenset(rule.name for rule in rules().values() if rule.about == "host")


def examine(case: Case) -> list[Diagnosis]:
    """What all rules say about a case, the worst first; a cause stands for the consequences that it explains.

    A rule that breaks is logged and harms no other.
    """
    found: list[Diagnosis] = []
    try:
        for rule in rules().values():
            if rule.when == "both" or (case.live if rule.when == "live" else case.job.state in ENDED):
                try:
                    diagnosis = rule.examine(case)
                except Exception:
                    log.exception("rule %s broke on job %s", rule.name, case.job.id)
                    continue
                if diagnosis is not None:
                    found.append(diagnosis)
    finally:
        case.close()
    explained = {name for diagnosis in found for name in rules()[diagnosis.rule].leads_to}
    told = [d for d in found if d.rule not in explained]
    return sorted(told, key=lambda d: -LEVELS.index(d.level))

"""What rules promise of themselves: documented, translated, bounded in cost, harmless to each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from platform_core.doctor import service
from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import LEVELS, Diagnosis
from platform_core.doctor.service import examine, rules

from .faults import FAULTS
from .runs import tell

DOCUMENT = Path(__file__).parents[3] / "docs" / "doctor.md"


def lines() -> list[str]:
    """The table of docs/doctor.md as the rules have it."""
    when = {"live": "while it runs", "ended": "when it has ended", "both": "always"}
    head = ["| rule | worst level | looked at | what is looked at | what is changed |", "|---|---|---|---|---|"]
    return head + [
        f"| **{r.title}** `{r.name}` | {r.level} | {when[r.when]} | {r.explains} | {r.suggests} |"
        for r in rules().values()
    ]


def test_the_document_says_what_the_rules_say() -> None:
    there = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    assert there == lines(), "docs/doctor.md is stale: put these lines into it\n" + "\n".join(lines())


def test_rules_name_each_other_rightly() -> None:
    for name, rule in rules().items():
        assert rule.name == name
        assert set(rule.leads_to) < set(rules()) - {name}
        assert rule.level in LEVELS


def test_a_rule_that_breaks_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(case: Case) -> Diagnosis | None:
        raise ZeroDivisionError

    known = rules()
    monkeypatch.setattr(service, "rules", lambda: known | {"plateau": replace(known["plateau"], examine=breaks)})
    case = tell(FAULTS["loss_spike"](0), tmp_path / "run")
    assert [d.rule for d in examine(case)] == ["loss_spike"]


def test_no_diagnosis_is_worse_than_its_rule_says(tmp_path: Path) -> None:
    for name, fault in FAULTS.items():
        for found in examine(tell(fault(7), tmp_path / name)):
            assert LEVELS.index(found.level) <= LEVELS.index(rules()[found.rule].level)
            assert str(found.what)
            assert str(found.why)
            assert len(found.evidence.steps) == len(found.evidence.values) <= 60


def test_a_job_that_has_not_begun_is_left_alone(tmp_path: Path) -> None:
    case = tell(replace(FAULTS["plateau"](0), curves={}), tmp_path / "run")
    assert examine(replace(case, attempt=None, metrics=None, log=None)) == []

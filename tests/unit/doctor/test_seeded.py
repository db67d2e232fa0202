"""The doctor on seeded runs: the right cause first in 95 of 100 faults, not a word about healthy runs."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from platform_core.algorithms.registry import algorithm
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.doctor.service import examine, rules

from .faults import FAULTS
from .healthy import HEALTHY
from .runs import tell

SEEDS = int(os.environ.get("LATHE_DOCTOR_SEEDS", "4"))
"""Seeds of each fault and each healthy run; `make doctor` takes more."""
FIRST = int(os.environ.get("LATHE_DOCTOR_FIRST", "0"))
RIGHT = 0.95


def table(told: Counter[tuple[str, str]]) -> str:
    """The confusion table: one line a fault that was done, with what was said first and how often."""
    lines = []
    for done in dict.fromkeys(done for done, _ in told):
        said = {name: n for (at, name), n in told.items() if at == done}
        right, others = said.pop(done, 0), ", ".join(f"{name} {n}" for name, n in said.items())
        lines.append(f"{done:24}{right:4} right   {others}")
    return "\n".join(lines)


def loud(found: list[Diagnosis]) -> list[Diagnosis]:
    return [d for d in found if d.level != "info"]


def test_every_rule_has_its_fault() -> None:
    assert set(FAULTS) == set(rules())


@pytest.mark.slow
def test_the_right_cause_comes_first(tmp_path: Path) -> None:
    told: Counter[tuple[str, str]] = Counter()
    for name, fault in FAULTS.items():
        for seed in range(FIRST, FIRST + SEEDS):
            case = tell(fault(seed), tmp_path / f"{name}{seed}")
            found = loud(examine(case))
            told[name, found[0].rule if found else "nothing"] += 1
            for diagnosis in found:
                if diagnosis.fix is not None and diagnosis.fix.changes:
                    spec = algorithm(case.job.kind).spec.model_validate(case.job.spec | diagnosis.fix.changes)
                    assert spec.model_dump(mode="json") != case.job.spec, f"the fix of {diagnosis.rule} changes nothing"
    right, all_of_them = sum(n for (done, said), n in told.items() if done == said), told.total()
    print(f"\n{table(told)}\n{right} of {all_of_them} faults named right: {right / all_of_them:.1%}")
    assert all_of_them >= 60
    assert right >= RIGHT * all_of_them, table(told)


@pytest.mark.slow
def test_healthy_runs_are_left_alone(tmp_path: Path) -> None:
    wrong = []
    runs = 0
    for make in HEALTHY:
        for seed in range(FIRST, FIRST + SEEDS):
            runs += 1
            found = loud(examine(tell(make(seed), tmp_path / f"{make.__name__}{seed}")))
            wrong += [f"{make.__name__} {seed}: {d.rule}: {d.what}" for d in found]
    noisy = len({said.partition(":")[0] for said in wrong})
    print(f"\n{runs - noisy} of {runs} healthy runs left alone\n" + "\n".join(wrong))
    assert runs >= 20
    assert noisy <= runs // 100, "\n".join(wrong)

"""Test cases of a reward: answers with the score they must get, run before every training that uses it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from platform_core.errors import Problem, Text, text
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.scorer import Scorer

MOST_CASES, LARGEST_FILE = 1000, 8 << 20
CLOSE = 1e-6
KEYS = ("name", "completion", "reference", "prompt", "row", "expect")


@dataclass(frozen=True)
class Case:
    """An answer and the score it must get."""

    name: str
    completion: str
    expect: float
    reference: str = ""
    prompt: str = ""
    row: Mapping[str, object] = field(default_factory=dict)

    @property
    def answer(self) -> Answer:
        return Answer(self.completion, self.reference, self.prompt, self.row)


@dataclass(frozen=True)
class CaseResult:
    """What became of a case."""

    case: Case
    score: Score

    @property
    def passed(self) -> bool:
        return self.score.error is None and abs(self.score.value - self.case.expect) <= CLOSE

    @property
    def said(self) -> Text:
        """What it got, and what it should have got."""
        name, score = self.case.name, self.score
        if score.error is not None:
            return text("the case “{name}” can't be scored: {error}", name=name, error=score.error)
        why = next((p.why for p in score.parts), Text(""))
        return text(
            "the case “{name}” gets {got:g}, and should get {expect:g}: {why}",
            name=name,
            got=score.value,
            expect=self.case.expect,
            why=why,
        )


def run_cases(scorer: Scorer, cases: Sequence[Case]) -> list[CaseResult]:
    """Score every case. Raises RewardFailed where the reward stops on errors."""
    scores = scorer.score([case.answer for case in cases])
    return [CaseResult(case, score) for case, score in zip(cases, scores, strict=True)]


def check_cases(name: str, scorer: Scorer, cases: Sequence[Case]) -> None:
    """Raise Problem naming the first case of a reward that does not get its score."""
    failing = [result for result in run_cases(scorer, cases) if not result.passed]
    if failing:
        raise Problem(
            "The reward “{name}” fails {n} of its {all} test cases: {first}. Mend the reward or the case on the page "
            "Rewards.",
            fields=("reward",),
            name=name,
            n=len(failing),
            all=len(cases),
            first=failing[0].said,
        )


def read_cases(lines: Iterable[str]) -> list[Case]:
    """Cases from JSON Lines; raises Problem naming the line that is none."""
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.append(_case(line, number))
        if len(found) > MOST_CASES:
            raise Problem("A reward has at most {most} test cases: take the telling ones.", most=MOST_CASES)
    return found


def write_cases(cases: Sequence[Case]) -> str:
    """Cases as JSON Lines."""
    return "".join(json.dumps(asdict(case), ensure_ascii=False, default=str) + "\n" for case in cases)


def _case(line: str, number: int) -> Case:
    try:
        data: Any = json.loads(line)
        if not isinstance(data, dict) or not set(data) <= set(KEYS) or not isinstance(data.get("row", {}), dict):
            raise TypeError
        texts = {key: str(data.get(key) or "") for key in ("completion", "reference", "prompt")}
        expect = float(data["expect"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Problem(
            'Line {line} of the test cases is none: write {{"name": …, "completion": …, "reference": …, "expect": 1}}.',
            line=number,
        ) from None
    return Case(str(data.get("name") or number), expect=expect, row=data.get("row") or {}, **texts)

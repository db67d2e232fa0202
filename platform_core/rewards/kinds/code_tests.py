"""The answer is a program, and tests say whether it works; it runs in a sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from platform_core.errors import Text, text
from platform_core.jobs.spec import setting
from platform_core.rewards.answer import Answer, Verdict, failed
from platform_core.rewards.extraction import LOOKED_AT, without_thinking
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.resources import Resources
from platform_core.rewards.sandbox import sandbox
from platform_core.rewards.worker import Worker, WorkerDied, WorkerPool

FENCE = re.compile(r"^```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
MOST_TESTS = 100
GRACE = 2.0


class CodeTests(RewardFunction):
    kind: ClassVar[str] = "code_tests"

    program: Literal["fence", "whole"] = setting(
        "fence",
        title="The program is",
        help="Where in a completion it stands.",
        labels={"fence": "The last ``` block", "whole": "The whole text"},
    )
    tests: Literal["asserts", "input_output"] = setting(
        "asserts",
        title="Tests are",
        help="What the reference holds: Python with `assert`s that use the program's functions, or JSON such as "
        '[{"input": "2", "output": "4"}] for programs that read and print.',
        labels={"asserts": "Asserts", "input_output": "Input and output"},
    )
    partial: bool = setting(True, title="Partial credit", help="The share of tests passed, instead of all or nothing.")
    seconds: float = setting(
        5.0, title="Time limit", help="For one run of the program.", unit="s", advanced=True, gt=0, le=600, step=1
    )
    memory_mib: int = setting(
        512, title="Memory limit", help="Of the sandbox.", unit="MiB", advanced=True, ge=64, le=65_536
    )


@dataclass(frozen=True)
class Outcome:
    """How many of an answer's tests it passed, and the first that it did not."""

    passed: int
    of: int
    wrong: Text | None = None


def open_(function: CodeTests, resources: Resources) -> Judge:
    """The share of tests that the program passes. Raises Problem when nothing protects here."""
    workers = [sandbox(None, function.memory_mib) for _ in range(resources.workers)]
    pool = resources.stack.enter_context(WorkerPool(workers))
    pool.start()

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        return pool.map(lambda worker, answer: _one(worker, answer, function), answers)

    return judge


def program_of(completion: str, how: str) -> str | None:
    """The program in a completion, without the thinking; None when there is none."""
    said = without_thinking(completion)[-LOOKED_AT:]
    if how == "whole":
        return said.strip() or None
    found = FENCE.findall(said if said.endswith("\n") else said + "\n")
    return str(found[-1]) if found else None


def _one(worker: Worker, answer: Answer, function: CodeTests) -> Verdict:
    if not answer.reference.strip():
        return failed(text("there are no tests in its reference"))
    pairs = read_pairs(answer.reference) if function.tests == "input_output" else []
    if pairs is None:
        return failed(text("its tests are no JSON list of objects with input and output"))
    program = program_of(answer.completion, function.program)
    if program is None:
        return Verdict(0.0, text("there is no program in it"))
    if function.tests == "asserts":
        outcome = _asserts(worker, program, answer.reference, function)
    else:
        outcome = _runs(worker, program, pairs, function)
    if isinstance(outcome, Text):
        return failed(outcome)
    share = outcome.passed / outcome.of if outcome.of else 0.0
    why = outcome.wrong or text("it passes all {n} tests", n=outcome.of)
    return Verdict(share if function.partial else float(share == 1.0), why, program)


def read_pairs(reference: str) -> list[tuple[str, str]] | None:
    """Inputs with wanted outputs from JSON: a list of objects, or an object with the lists `inputs` and `outputs`."""
    try:
        found: Any = json.loads(reference)
        if isinstance(found, dict):
            pairs = list(zip(found["inputs"], found["outputs"], strict=True))
        else:
            pairs = [(test["input"], test["output"]) for test in found]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = all(isinstance(side, str) for pair in pairs for side in pair)
    return pairs[:MOST_TESTS] if pairs and texts else None


def _asserts(worker: Worker, program: str, tests: str, function: CodeTests) -> Outcome | Text:
    said = _run(worker, {"program": program, "tests": tests}, function)
    if isinstance(said, Text):
        return Outcome(0, 1, said)
    results = said.get("results")
    if not isinstance(results, dict):
        return Outcome(0, 1, text("it ended before its tests did"))
    if results["bad_tests"] is not None:
        return text("its tests are no Python: {error}", error=str(results["bad_tests"]))
    if results["broken"] is not None:
        return Outcome(0, 1, text("the program broke: {error}", error=str(results["broken"])))
    passed = results["passed"]
    if not passed:
        return text("its tests hold no assert and no call")
    wrong = next(((n, error) for n, error in enumerate(passed, start=1) if error is not None), None)
    said_wrong = wrong and text("test {n} of {all}: {error}", n=wrong[0], all=len(passed), error=str(wrong[1]))
    return Outcome(passed.count(None), len(passed), said_wrong)


def _runs(worker: Worker, program: str, pairs: Sequence[tuple[str, str]], function: CodeTests) -> Outcome:
    passed, wrong = 0, None
    for number, (given, wanted) in enumerate(pairs, start=1):
        said = _run(worker, {"program": program, "stdin": given}, function)
        if not isinstance(said, Text) and same_output(str(said["stdout"]), wanted) and said["code"] == 0:
            passed += 1
            continue
        if wrong is None:
            why = said if isinstance(said, Text) else text("the output is another, or the program broke")
            wrong = text("test {n} of {all}: {error}", n=number, all=len(pairs), error=why)
        if not function.partial:
            break
    return Outcome(passed, len(pairs), wrong)


def same_output(said: str, wanted: str) -> bool:
    """Whether two outputs are the same but for spaces at line ends and empty lines at the end."""
    a, b = ([line.rstrip() for line in t.rstrip().splitlines()] for t in (said, wanted))
    return a == b


def _run(worker: Worker, asked: dict[str, str], function: CodeTests) -> dict[str, Any] | Text:
    try:
        said = worker.call({**asked, "seconds": function.seconds}, function.seconds + GRACE)
    except TimeoutError:
        return text("it took longer than {seconds} s", seconds=f"{function.seconds:g}")
    except (WorkerDied, ValueError):
        return text("it ended the sandbox")
    if said.get("late"):
        return text("it took longer than {seconds} s, or printed without end", seconds=f"{function.seconds:g}")
    return text("it can't be run: {error}", error=str(said["error"])) if "error" in said else said


KIND = Kind(
    spec=CodeTests,
    title="Code tests",
    summary="The share of tests that the program in the answer passes, run in a sandbox.",
    icon="terminal",
    open=open_,
    where="sandbox",
    order=70,
)

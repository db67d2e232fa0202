"""Mathematics is compared in processes that survive what is thrown at them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from platform_core.rewards.answer import Answer
from platform_core.rewards.math_pool import MathPool
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.scorer import Scorer, open_scorer
from platform_core.rewards.worker import WorkerDied


@pytest.fixture(scope="module")
def pool() -> Iterator[MathPool]:
    with MathPool(1) as opened:
        yield opened


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    with open_scorer(PRESETS["math_verify"].reward(), workers=1) as opened:
        yield opened


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("1/2", "0.5", True),
        (r"\frac{1}{2}", "0.5", True),
        ("x^2+1", "1+x^2", True),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        ("{1,2}", "{2,1}", True),
        ("42", "41", False),
        ("42", "", False),
        ("42", "\\\\\\{{{", False),
    ],
)
def test_equal_as_mathematics(pool: MathPool, gold: str, answer: str, equal: bool) -> None:
    assert pool.compare([(gold, answer)], 6, 5)[0].equal is equal


@pytest.mark.parametrize("hostile", ["9**9**9**9", "9^{9^{9^9}}", "10000000000!", "2^{99999999}", "((9!)!)!"])
def test_towers_are_turned_away_before_they_cost_anything(pool: MathPool, hostile: str) -> None:
    started = pool.started
    found = pool.compare([("42", hostile)], 6, 5)[0]
    assert (found.equal, found.late, pool.started) == (False, True, started)


def test_equal_questions_are_asked_once(pool: MathPool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.compare([("7", "7.0")], 6, 5)
    worker = pool._pool.workers[0]
    monkeypatch.setattr(worker, "call", lambda *a: pytest.fail("asked again"))
    assert [c.equal for c in pool.compare([("7", "7.0")] * 64, 6, 5)] == [True] * 64


def test_a_killed_process_is_replaced(pool: MathPool) -> None:
    worker = pool._pool.workers[0]
    assert worker._process is not None
    os.kill(worker._process.pid, signal.SIGKILL)
    assert pool.compare([("3", "3.00")], 6, 5)[0].late
    assert pool.compare([("4", "4.00")], 6, 5)[0].equal


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_its_answer_is_wrong(pool: MathPool) -> None:
    worker = pool._pool.workers[0]
    worker.start()
    assert worker._process is not None
    os.kill(worker._process.pid, signal.SIGSTOP)
    assert pool.compare([("5", "5.000")], 6, 0.1)[0].late
    assert worker._process is None
    assert pool.compare([("6", "6.000")], 6, 5)[0].equal


def test_a_scorer_says_what_it_compared(scorer: Scorer) -> None:
    answers = [
        Answer(r"\boxed{\frac12}", "0.5"),
        Answer(r"\boxed{２}", r"so $\boxed{2}$"),
        Answer(r"\boxed{1} \boxed{3}", "2"),
        Answer("0.5", "0.5"),
        Answer(r"\boxed{9^{9^{9^9}}}", "1"),
    ]
    scores = scorer.score(answers)
    assert [score.value for score in scores] == [1, 1, 0, 0, 0]
    assert [score.error for score in scores] == [None] * 5
    whys = [str(score.parts[0].why) for score in scores]
    assert "of several answers the last one counts" in whys[2]
    assert "no closed \\boxed" in whys[3]
    assert "could not be worked out in time" in whys[4]


def test_a_worker_that_cannot_start_is_told() -> None:
    with MathPool(1) as pool:
        pool._pool.workers[0].kill()
        pool._pool.workers[0].command = ["/bin/false"]
        with pytest.raises(WorkerDied):
            pool._pool.start()

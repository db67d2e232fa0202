"""Code of rewards tries to get out, under bubblewrap and under Landlock with seccomp; it only costs its own answer."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from platform_core.errors import Problem
from platform_core.rewards import sandbox as module
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.sandbox import SandboxWorker, protection, sandbox
from platform_core.rewards.scorer import RewardFailed, open_scorer
from platform_core.rewards.spec import Reward
from platform_core.rewards.worker import WorkerDied

HOWS = ("bubblewrap", "landlock")
EVAL = "import os, socket, ctypes, subprocess, signal, sys\ndef score(code):\n    return repr(eval(code))\n"
Run = Callable[[str], str]


@pytest.fixture(scope="module", params=HOWS)
def worker(request: pytest.FixtureRequest) -> Iterator[SandboxWorker]:
    made = sandbox(EVAL, using=request.param)
    yield made
    made.kill()


def said(worker: SandboxWorker, code: str, seconds: float = 10) -> str:
    answer = worker.call({"call": "score", "args": [code]}, seconds)
    return str(answer.get("ok", answer.get("error")))


def test_this_machine_has_the_better_protection() -> None:
    assert protection() == "bubblewrap"


ESCAPES = {
    "a secret of ours": f"open('/proc/{os.getpid()}/environ').read()",
    "the password file": "open('/etc/shadow').read()",
    "the home of root": "os.listdir('/root')",
    "our source": f"os.listdir({str(Path(__file__).parent)!r})",
    "a file of the system": "open('/usr/bin/owned', 'w')",
    "a file at the top": "open('/owned', 'w')",
    "the core pattern": "open('/proc/sys/kernel/core_pattern', 'w')",
    "sysrq": "open('/proc/sysrq-trigger', 'w')",
    "killing us": f"os.kill({os.getpid()}, 9)",
    "becoming root": "os.setuid(0)",
    "mounting": "1 / (ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0)",
    "a new user namespace": "1 / (ctypes.CDLL(None).unshare(0x10000000) == 0)",
    "our memory": f"open('/proc/{os.getpid()}/mem', 'rb').read(1)",
    "tracing us": f"1 / (ctypes.CDLL(None).ptrace(16, {os.getpid()}, 0, 0) == 0)",
    "a device": "os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))",
}


@pytest.mark.parametrize("what", ESCAPES)
def test_no_way_out(worker: SandboxWorker, what: str) -> None:
    answer = said(worker, ESCAPES[what])
    assert "Error" in answer, (what, answer)


def test_no_network(worker: SandboxWorker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        answer = said(worker, f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)")
        assert "Error" in answer
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_secret_in_its_environment(worker: SandboxWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_CANARY", "canary-7")
    worker.kill()
    assert "canary" not in said(worker, "dict(os.environ)")
    assert "canary" not in said(worker, "open('/proc/self/environ').read()")
    assert "canary" not in said(worker, "[open(f'/proc/{p}/environ').read() for p in os.listdir('/proc') if p == '1']")


def test_never_as_root(worker: SandboxWorker) -> None:
    assert said(worker, "os.getuid()") != "0"
    assert worker._process is not None
    mine = Path(f"/proc/{worker._process.pid}/task/{worker._process.pid}/children").read_text().split()
    pid = mine[0] if mine else worker._process.pid  # bubblewrap's child, or the worker itself
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert re.search(r"^Uid:\t(?!0\t)\d+\t(?!0\t)", status, re.MULTILINE)
    assert re.search(r"^CapEff:\t0{16}$", status, re.MULTILINE)


def test_memory_is_limited(worker: SandboxWorker) -> None:
    assert "MemoryError" in said(worker, "len('x' * (4 << 30))")


def test_what_is_written_stays_small() -> None:
    worker = sandbox(EVAL, using="bubblewrap")
    try:
        assert "Error" in said(worker, "open('/tmp/a', 'wb').write(b'x' * (200 << 20))")
        assert "Error" in said(worker, "open('/dev/shm/a', 'wb').write(b'x' * (32 << 20))")
        assert said(worker, "1 + 1") == "2"
    finally:
        worker.kill()


def sandboxed() -> int:
    """Processes that run the worker's program; a fork keeps its parent's command line."""
    commands = (Path(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdigit())
    found = 0
    for command in commands:
        with suppress(OSError):
            found += b"The program inside the sandbox" in command.read_bytes()
    return found


def test_a_fork_bomb_stops_and_leaves_nothing(worker: SandboxWorker) -> None:
    assert said(worker, "1 + 1") == "2"
    before = sandboxed()
    bomb = "while True:\n  try:\n    os.fork()\n  except OSError:\n    break\n"
    worker.call({"program": "import os\n" + bomb, "stdin": "", "seconds": 0.5}, 10)
    assert said(worker, "2 + 2") == "4"
    assert before >= 1
    assert sandboxed() < before + 20


def test_a_fork_does_not_answer_for_its_parent(worker: SandboxWorker) -> None:
    said(worker, "os.fork()")
    assert [said(worker, f"{n} * 2") for n in range(5)] == ["0", "2", "4", "6", "8"]


def test_a_hang_and_a_crash_end_the_worker_and_the_next_call_has_a_new_one(worker: SandboxWorker) -> None:
    with pytest.raises(TimeoutError):
        said(worker, "[0 for _ in iter(int, 1)]", 0.2)
    with pytest.raises(WorkerDied):
        said(worker, "os._exit(3)")
    with pytest.raises(ValueError, match="too long"):
        said(worker, "'x' * (9 << 20)")
    assert said(worker, "3 + 3") == "6"


def score_all(code: str, *answers: Answer, on_error: str = "zero", **function: Any) -> list[Score]:
    values = {"functions": [{"kind": "custom_python", **function}], "on_error": on_error}
    with open_scorer(Reward.model_validate(values), code=code) as scorer:
        return scorer.score(answers or [Answer("abc", "b", "q", {"n": 2}, 7)])


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return 0.5", 0.5),
        ("return True", 1),
        ("return len(completion), 'three letters'", 3),
        ("return float(reference in completion) + row['n']", 3),
        ("print('noise'); return 1", 1),
        ("import re; return bool(re.search('b', completion))", 1),
    ],
)
def test_own_python(body: str, value: float) -> None:
    (score,) = score_all(f"def score(completion, reference, prompt, row):\n    {body}\n")
    assert (score.value, score.error) == (value, None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return 'good'", "'good', which is no number"),
        ("return None", "None, which is no number"),
        ("return [1, 2]", "which is no number"),
        ("return float('nan')", "nan, which is no finite number"),
        ("return 1e400", "inf, which is no finite number"),
        ("return 10 ** 400", "too large"),
        ("return 1 / 0", "ZeroDivisionError"),
        ("raise SystemExit", "SystemExit"),
        ("while True: pass", "longer than 0.3 s"),
        ("import os; os._exit(9)", "ended the sandbox"),
        ("import sys; sys.setrecursionlimit(10**9); f = lambda: f(); f()", "ended|longer|RecursionError|MemoryError"),
        ("return object()", "TypeError"),
    ],
)  # fmt: skip
def test_an_error_names_the_row_and_only_that_answer_is_lost(body: str, error: str) -> None:
    code = f"def score(completion, reference, prompt, row):\n    if completion == 'fine': return 1\n    {body}\n"
    answers = [Answer("fine"), Answer("bad", number=7), Answer("fine")]
    scores = score_all(code, *answers, seconds=0.3)
    assert [s.value for s in scores] == [1, 0, 1]
    assert re.search(error, str(scores[1].error)), scores[1].error
    assert "row 7" in str(scores[1].error)


def test_the_policy_may_be_to_stop() -> None:
    code = "def score(completion, reference, prompt, row):\n    return completion\n"
    with pytest.raises(RewardFailed, match="row 7"):
        score_all(code, Answer("x", number=7), on_error="stop")


def test_a_batch_at_once_must_be_as_long_as_it_was() -> None:
    batch = {"function": "score_batch", "takes": "batch"}
    code = "def score_batch(answers):\n    return [len(a['completion']) for a in answers]{}\n"
    answers = [Answer("a" * n, number=n) for n in range(1, 4)]
    assert [s.value for s in score_all(code.format(""), *answers, **batch)] == [1, 2, 3]
    short = score_all(code.format("[1:]"), *answers, **batch)
    assert all("2 values for 3 answers" in str(s.error) for s in short)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def score(:", "SyntaxError"),
        ("import nothing_like_this", "ModuleNotFoundError"),
        ("def other(): pass", "no function score; it has other"),
        ("import os; os._exit(1)", "ended the sandbox while it was loaded"),
    ],
)
def test_code_that_does_not_load_is_told_before_anything_is_scored(code: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        score_all(code)


def test_where_nothing_protects_no_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "protection", lambda: "none")
    with pytest.raises(Problem, match="Install bubblewrap"):
        score_all("def score(*a): return 1")


TESTS = "assert double(2) == 4\nassert double(0) == 0\nassert double(-1) == -2\n"
GOOD = "Here:\n```python\ndef double(x):\n    return 2 * x\n```\n"


@pytest.mark.parametrize(
    ("completion", "value", "said"),
    [
        (GOOD, 1, "all 3 tests"),
        ("```\ndef double(x):\n    return 4 if x else 0\n```", 2 / 3, "test 3 of 3"),
        ("<think>" + GOOD + "</think>none", 0, "no program"),
        ("```python\nraise ValueError(1)\n```", 0, "ValueError"),
        ("```python\nimport sys; sys.exit(0)\n```", 0, "SystemExit"),
        ("```python\nimport os; os._exit(0)\n```", 0, "ended before its tests"),
        ("```python\nwhile True: pass\n```", 0, "longer than"),
        ("```python\nclass Any:\n    def __eq__(self, o): return True\ndef double(x): return Any()\n```", 1, ""),
    ],
)
def test_code_is_tested_by_asserts(completion: str, value: float, said: str) -> None:
    reward = Reward.model_validate({"functions": [{"kind": "code_tests", "seconds": 0.5}]})
    with open_scorer(reward, workers=1) as scorer:
        score = scorer.score([Answer(completion, TESTS)])[0]
    assert score.error is None
    assert score.value == pytest.approx(value)
    assert said in str(score.parts[0].why)


def test_code_is_tested_by_input_and_output_and_one_answer_does_not_spoil_the_next() -> None:
    pairs = '[{"input": "2\\n", "output": "4"}, {"input": "3\\n", "output": "6\\n"}]'
    reward = Reward.model_validate({"functions": [{"kind": "code_tests", "tests": "input_output", "seconds": 1}]})
    hostile = "```python\nimport os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n```"
    good, half = "```python\nprint(2 * int(input()))\n```", "```python\nprint(4)\n```"
    with open_scorer(reward, workers=1) as scorer:
        scores = scorer.score([Answer(c, pairs) for c in (good, hostile, half, good)])
        broken = scorer.score([Answer(good, "no tests"), Answer(good, ""), Answer(good, '[{"input": 1}]')])
    assert [s.value for s in scores] == [1, 0, 0.5, 1]
    assert all(s.error is not None for s in broken)

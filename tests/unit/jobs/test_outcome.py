"""The state in which an attempt ends, and the sentence for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from platform_core.errors import text
from platform_core.jobs.outcome import Exit, has_checkpoint, last_error_line, outcome
from platform_core.jobs.states import NEXT, State

KILLED = "The runner was killed from outside"


@pytest.mark.parametrize(
    ("state", "result", "has_output", "expected"),
    [
        ("running", {"status": "completed", "output": "output"}, True, ("completed", None)),
        (
            "running",
            {"status": "completed", "output": "output"},
            False,
            ("failed", "It finished, but its output is gone"),
        ),
        ("running", {"status": "completed"}, False, ("completed", None)),
        ("stopping", {"status": "completed", "output": "output"}, True, ("completed", None)),
        ("stopping", {"status": "stopped", "step": 7}, False, ("stopped", "Stopped by ada after step 7.")),
        ("stopping", {"status": "paused", "step": 7}, False, ("stopped", "Stopped by ada after step 7.")),
        ("running", {"status": "stopped", "step": 7}, False, ("stopped", "A signal from outside asked the runner")),
        ("pausing", {"status": "paused", "step": 7}, False, ("paused", "Paused after step 7.")),
        ("running", {"status": "paused", "step": 7}, False, ("paused", "Paused after step 7.")),
        ("starting", {"status": "failed", "error": text("No {x}.", x="oil").as_json()}, False, ("failed", "No oil.")),
        ("running", {"status": "failed"}, False, ("failed", "The runner failed without a sentence")),
        ("stopping", None, True, ("stopped", "Stopped by ada before it could save")),
        ("pausing", None, True, ("failed", KILLED)),
    ],
)
def test_the_result_decides(
    state: State, result: dict[str, Any] | None, has_output: bool, expected: tuple[State, str | None]
) -> None:
    found = outcome(state, Exit(signal=9), result, has_output=has_output, stopped_by="ada")
    assert found.state == expected[0]
    assert found.reason is None if expected[1] is None else str(found.reason).startswith(expected[1])
    assert found.result == result
    if found.state != "paused":
        assert found.state in NEXT[state]


@pytest.mark.parametrize(
    ("ended", "line", "sentence"),
    [
        (
            Exit(code=3),
            "ValueError: no.",
            "The runner ended with exit code 3: ValueError: no. Its log has the details.",
        ),
        (Exit(code=0), "", "The runner ended with exit code 0 and left no result: its log has the details."),
        (Exit(signal=9), "", KILLED),
        (Exit(), "", KILLED),
        (Exit(signal=9, out_of_memory=True), "", "The machine ran out of memory and its kernel killed the runner"),
        (Exit(signal=11), "", "The runner crashed with a segmentation fault (SIGSEGV)"),
        (Exit(signal=7), "", "The runner was ended by the signal SIGBUS"),
        (Exit(signal=99), "", "The runner was ended by the signal 99"),
        (Exit(rebooted=True), "", "The machine was started anew while the job ran"),
    ],
)
def test_without_a_result_the_end_of_the_process_is_the_reason(ended: Exit, line: str, sentence: str) -> None:
    found = outcome("running", ended, None, has_output=True, error_line=line)
    assert found.state == "failed"
    assert str(found.reason).startswith(sentence)


@pytest.mark.parametrize("state", ["running", "stopping"])
def test_only_what_was_saved_is_promised(state: State, tmp_path: Path) -> None:
    def sentence() -> str:
        saved = has_checkpoint(tmp_path)
        return str(outcome(state, Exit(signal=9), None, has_output=False, has_checkpoint=saved).reason)

    (tmp_path / "checkpoints" / ".saving.part").mkdir(parents=True)
    assert sentence().endswith("it begins anew, since it had saved no checkpoint.")
    (tmp_path / "checkpoints" / "step-4").mkdir()
    assert sentence().endswith("it goes on from its last whole checkpoint.")


def test_a_runner_killed_after_the_grace_says_so() -> None:
    found = outcome("stopping", Exit(signal=9), None, has_output=False, stopped_by="ada", killed_after=30.0)
    assert found.state == "stopped"
    assert "did not end within 30 seconds" in str(found.reason)


def test_the_last_line_that_looks_like_an_error_is_found_in_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert last_error_line(log) == ""
    log.write_text("KeyError: 'old'\n" + "step 1 of 2\n" * 20_000)
    assert last_error_line(log) == ""
    with log.open("a") as file:
        file.write("RuntimeError: \x1b[31mred\x1b[0m " + "x" * 500 + "\nbye\n")
    line = last_error_line(log)
    assert line.startswith("RuntimeError: [31mred")
    assert len(line) == 300

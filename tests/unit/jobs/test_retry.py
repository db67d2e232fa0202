"""Which failures are tried again, when, and what is said."""

from __future__ import annotations

from typing import get_args

import pytest

from platform_core.errors import text
from platform_core.jobs.outcome import Exit, cause_of, outcome
from platform_core.jobs.retry import CAN_PASS, WORDS, Cause, exhausted, next_retry

WHY = text("The runner was killed from outside.")


@pytest.mark.parametrize("cause", get_args(Cause))
def test_only_causes_that_can_pass_are_tried_again(cause: Cause) -> None:
    assert (next_retry(cause, WHY, 2, 0, 10.0) is not None) == (cause in CAN_PASS)


def test_the_wait_doubles_up_to_an_hour_and_the_number_is_a_promise() -> None:
    waits = [next_retry("killed", WHY, 99, n, 10.0) for n in range(12)]
    assert [w.wait for w in waits if w] == [10 * 2**n for n in range(9)] + [3600.0] * 3
    assert str(waits[0] and waits[0].reason) == "Retry 1 of 99 in 10 s: The runner was killed from outside."
    assert next_retry("killed", WHY, 2, 2, 10.0) is None
    assert next_retry("killed", WHY, 0, 0, 10.0) is None
    assert next_retry("killed", WHY, 10**6, 10**5, 3600.0) is not None


def test_a_job_that_fails_for_good_says_how_often_it_was_tried() -> None:
    assert str(exhausted("killed", WHY, 2)) == f"{WHY} It had been started again 2 times by itself."
    assert exhausted("killed", WHY, 0) == WHY
    assert exhausted("error", WHY, 2) == WHY


@pytest.mark.parametrize(
    ("ended", "result", "line", "cause"),
    [
        (Exit(signal=9), None, "", "killed"),
        (Exit(), None, "", "killed"),
        (Exit(signal=15), None, "", "killed"),
        (Exit(signal=11), None, "", "crashed"),
        (Exit(signal=9, out_of_memory=True), None, "", "out_of_memory"),
        (Exit(rebooted=True), None, "", "rebooted"),
        (Exit(code=1), None, "OSError: [Errno 28] No space left on device", "disk_full"),
        (Exit(code=1), "The disk is full: free some space and start the job again.", "", "disk_full"),
        (Exit(code=1), "Memory ran out: take a smaller batch size.", "", "out_of_memory"),
        (Exit(code=1), "The program broke with RuntimeError: CUDA error: uncorrectable ECC error.", "", "gpu_lost"),
        (Exit(code=1), "The runner was interrupted: start the job again.", "", "killed"),
        (Exit(code=1), "Row 3 is broken.", "No space left on device", "error"),
        (Exit(code=3), None, "ValueError: no.", "error"),
    ],
)
def test_the_cause_is_read_from_what_is_left(ended: Exit, result: str | None, line: str, cause: Cause) -> None:
    said = None if result is None else text(result)
    assert cause_of(ended, None if said is None else {"status": "failed"}, said, line) == cause


def test_memory_of_a_gpu_that_others_use_can_pass_that_of_our_own_can_not() -> None:
    said = text("Memory ran out: take a smaller batch size.")
    assert cause_of(Exit(code=1), {}, said, "", "shared") == "gpu_taken"
    assert cause_of(Exit(code=1), {}, said, "", "ours") == "gpu_out_of_memory"
    assert "gpu_out_of_memory" not in CAN_PASS


def test_a_job_that_was_shut_down_with_its_machine_is_tried_again_though_it_saved() -> None:
    found = outcome("running", Exit(rebooted=True), {"status": "stopped", "step": 3}, has_output=False)
    assert (found.state, found.cause) == ("failed", "rebooted")
    asked = outcome("stopping", Exit(rebooted=True), {"status": "stopped", "step": 3}, has_output=False)
    assert asked.state == "stopped"


def test_the_time_limit_is_named_with_the_way_on() -> None:
    result = {"status": "stopped", "step": 7}
    found = outcome("stopping", Exit(code=0), result, has_output=False, has_checkpoint=True, time_limit=7200.0)
    assert (found.state, found.cause) == ("stopped", "time_limit")
    assert str(found.reason) == (
        "Stopped at its time limit of 2 h 00 min after step 7: start it again to give it the same time once more, "
        "it goes on from its last whole checkpoint; or clone it with another limit."
    )
    done = outcome("stopping", Exit(code=0), {"status": "completed"}, has_output=False, time_limit=7200.0)
    assert (done.state, done.cause) == ("completed", None)


def test_each_cause_has_its_words() -> None:
    assert set(WORDS) == set(get_args(Cause))

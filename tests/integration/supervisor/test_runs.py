"""What the supervisor makes of a job that runs, ends well, ends badly, or waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from platform_core.database.engine import reading, writing
from platform_core.environment.machine import usable_cores
from platform_core.jobs import processes, service, store
from platform_core.jobs.store import Job

from .stage import ROOT, Stage, assert_true


def test_a_job_runs_to_its_end(stage: Stage) -> None:
    stage.start_supervisor()
    job = stage.wait_for(stage.create(steps=30, step_seconds=0.02))
    assert job.state == "completed", stage.log()
    assert_true(stage, job)
    assert (job.step, job.total_steps) == (30, 30)
    assert job.latest == {"loss": 1 / 30, "worst": None}
    assert job.sparkline[0] == 1.0
    assert job.result["metrics"] == {"loss": 1 / 30}
    (attempt,), changes = service.history(stage.workspace, job.id)
    assert [c.to_state for c in changes] == ["queued", "starting", "running", "completed"]
    assert (attempt.exit_code, attempt.outcome, attempt.threads) == (0, "completed", 1)


ENDS = {
    "error": "The rehearsal of errors failed: try another.",
    "exit": "The runner ended with exit code 7: CustomError: the lamp fell down. Its log has the details.",
    "no_result": "The runner ended with exit code 0 and left no result: its log has the details.",
    "segfault": "The runner crashed with a segmentation fault (SIGSEGV)",
    "kill": "The runner was killed from outside: start the job again; it ",
}


def test_a_job_that_ends_badly_says_why(stage: Stage) -> None:
    jobs = {end: stage.create(end, end=end, steps=2) for end in ENDS}
    good = stage.create("good", steps=2)
    stage.start_supervisor()
    for end, sentence in ENDS.items():
        job = stage.wait_for(jobs[end])
        assert job.state == "failed"
        assert str(job.reason).startswith(sentence)
        assert_true(stage, job)
    assert stage.wait_for(good).state == "completed"


def test_nothing_that_a_runner_started_outlives_it(stage: Stage) -> None:
    job = stage.create(children=4, steps=100, step_seconds=0.02)
    stage.start_supervisor()
    stage.until(lambda: _sleepers(stage) == 4)
    assert stage.wait_for(job).state == "completed"
    assert _sleepers(stage) == 0


def _sleepers(stage: Stage) -> int:
    return sum("sleep 600" in command for command in stage.own_processes().values())


def test_a_chain_runs_in_order_and_a_broken_link_fails_the_rest_with_a_sentence(stage: Stage) -> None:
    first = stage.create("first", end="error", steps=1)
    second = stage.create("second", needs=(first.id,), steps=1)
    third = stage.create("third", needs=(second.id,), steps=1)
    stopped = stage.create("halted", start=False)
    after = stage.create("after", needs=(stopped.id,), steps=1)
    good = stage.create("good", steps=3)
    last = stage.create("last", needs=(good.id,), steps=1)
    service.stop(stage.workspace, stopped.id)
    stage.start_supervisor()
    assert stage.wait_for(last).state == "completed"
    assert stage.get(last).started_at >= stage.get(good).finished_at
    for job, needed, state in (
        (second, "first", "failed"),
        (third, "second", "failed"),
        (after, "halted", "was stopped"),
    ):
        ended = stage.wait_for(job)
        assert ended.state == "failed"
        assert str(ended.reason) == (
            f"It needs the output of “{needed}”, which {state}: start that one again, then this one."
        )
        assert ended.attempt == 0


def test_a_job_whose_needed_job_was_deleted_fails_with_a_sentence(stage: Stage) -> None:
    needed = stage.create("needed", start=False)
    job = stage.create("job", needs=(needed.id,), start=False)
    service.delete(stage.workspace, needed.id)
    with writing(stage.workspace.engine) as connection:
        store.change_state(connection, job.id, ("pending",), "queued", "test")
    stage.start_supervisor()
    assert str(stage.wait_for(job).reason).startswith("It needs the output of “needed”, which was deleted")


def test_slots_are_never_given_twice_and_higher_priority_goes_first(stage: Stage) -> None:
    whole = usable_cores()
    jobs = [stage.create(f"job {n}", steps=3, cpu_slots=whole) for n in range(3)]
    with writing(stage.workspace.engine) as connection:
        store.update_job(connection, jobs[2].id, priority=5)
    stage.start_supervisor()
    ended = [stage.wait_for(job) for job in jobs]
    spans = sorted((_began(stage, job), job.finished_at or 0.0, job.name) for job in ended)
    assert [name for _, _, name in spans] == ["job 2", "job 0", "job 1"]
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


def _began(stage: Stage, job: Job) -> float:
    with reading(stage.workspace.engine) as connection:
        return store.attempts_of(connection, job.id)[0].launched_at


def test_a_job_whose_dataset_was_deleted_fails_before_a_process_starts(stage: Stage) -> None:
    path = stage.workspace.datasets / "texts.jsonl"
    path.write_text('{"text": "one and one is two"}\n' * 20)
    job = service.create(stage.workspace, "tokenizer", {"dataset": "texts.jsonl"}, start=True)
    path.unlink()
    stage.start_supervisor()
    ended = stage.wait_for(job)
    assert ended.state == "failed"
    assert "texts.jsonl" in str(ended.reason)
    assert not stage.attempt(job).log.exists()


def test_a_runner_gets_threads_and_no_secret(new_stage: Callable[..., Stage]) -> None:
    secrets = {"PLATFORM_SECRET_KEY": "canary-1", "HF_TOKEN": "canary-2", "DB_PASSWORD": "canary-3"}
    stage = new_stage(**secrets, HTTPS_PROXY="http://me:canary-4@proxy:80", PLATFORM_ROOTS="/nowhere")
    job = stage.create(steps=200, step_seconds=0.05, cpu_slots=1)
    stage.start_supervisor()
    runner = stage.processes(job).runner
    stage.wait_for(job, "running")
    own = Path(f"/proc/{runner.pid}/environ").read_text().split("\0")
    found = dict(line.split("=", 1) for line in own if "=" in line)
    assert not secrets.keys() & found.keys()
    expected = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1", "LATHE_JOB": job.id}
    assert expected.items() <= found.items()
    assert found["PLATFORM_ROOTS"] == "/nowhere"
    assert found["PYTHONPATH"].split(":")[0] == str(ROOT)
    for path in stage.workspace.job_folder(job.id).rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path
    assert "canary" not in stage.log()
    command = json.loads((stage.attempt(job).folder / "command.json").read_text())["command"]
    assert command[1:4] == ["-P", "-m", "runners.keeper"]
    row = processes.look_up(runner.pid)
    assert row is not None
    assert row.session == row.group == runner.pid

"""`lathe` as a process of its own: start-up time, pipes, Ctrl-C, and a job followed from start to end."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_core.alerts import service as alerts
from platform_core.clock import now
from platform_core.jobs import service as jobs
from platform_core.jobs import supervision
from platform_core.jobs.states import ENDED
from platform_core.workspace.service import open_workspace
from tests.unit.alerts.findings import finding
from tests.unit.alerts.servers import http_server, smtp_server, status

ROOT = Path(__file__).resolve().parents[2]
LATHE = [sys.executable, "-m", "app.cli"]
LIMIT = 120


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    made = open_workspace(tmp_path / "home")
    (made.datasets / "texts.jsonl").write_text('{"text": "one two three four five"}\n' * 50)
    yield made.home
    for job in lathe(made.home, "jobs", "list", "--json").objects():
        if job["state"] not in ENDED:
            lathe(made.home, "jobs", "stop", "--wait", str(job["id"]))
    supervision.stop(made.home)


class Ended(subprocess.CompletedProcess[str]):
    """A `lathe` that has ended."""

    def objects(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.stdout)
        return found


def environment(home: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PLATFORM_HOME": str(home), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def lathe(home: Path, *words: str) -> Ended:
    run = subprocess.run([*LATHE, *words], env=environment(home), capture_output=True, text=True, timeout=LIMIT)
    assert "Traceback" not in run.stdout + run.stderr, run.stderr
    return Ended(run.args, run.returncode, run.stdout, run.stderr)


def on_terminal(home: Path, *words: str, columns: int = 80, interrupt_at: bytes = b"", **more: str) -> tuple[int, str]:
    """Run on a pseudo-terminal, as a person would see it; Ctrl-C is typed once `interrupt_at` is on the screen."""
    master, slave = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
    kept = {k: v for k, v in environment(home).items() if k != "NO_COLOR"}
    process = subprocess.Popen(
        [*LATHE, *words], env={**kept, **size, **more}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    seen, deadline, typed = b"", time.monotonic() + LIMIT, False
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                block = os.read(master, 65_536)
            except OSError:
                break
            seen += block
            if not block:
                break
        if interrupt_at and interrupt_at in seen and not typed:
            process.send_signal(signal.SIGINT)
            typed = True
    os.close(master)
    return process.wait(timeout=LIMIT), seen.decode()


def test_help_as_a_process(home: Path) -> None:
    took = []
    for _ in range(3):
        began = time.monotonic()
        run = lathe(home, "--help")
        took.append(time.monotonic() - began)
        assert run.returncode == 0
        assert "Usage: lathe" in run.stdout
    print(f"lathe --help: {min(took):.3f} s at best of {len(took)}")


def test_the_console_script_is_the_same_program(home: Path) -> None:
    script = Path(sys.executable).with_name("lathe")
    run = subprocess.run([script, "--help"], env=environment(home), capture_output=True, text=True, timeout=LIMIT)
    assert run.returncode == 0
    assert run.stdout == lathe(home, "--help").stdout


def test_a_reader_that_goes_away_is_no_trouble(home: Path) -> None:
    for number in range(40):
        folder = home / "models" / f"model-{number}"
        folder.mkdir()
        (folder / "tokenizer.json").write_text("{}")
    for words in (["train", "pretrain", "--help"], ["models", "list"], ["models", "list", "--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        run = subprocess.run(
            [*LATHE, *words], env=environment(home), stdout=writer, stderr=subprocess.PIPE, check=False
        )
        os.close(writer)
        assert (run.returncode, run.stderr) == (1, b""), words


def test_a_followed_job_runs_to_its_end_and_gives_the_exit_code(home: Path) -> None:
    words = ["train", "tokenizer", "--dataset", "texts.jsonl", "--vocab-size", "300", "--name", "words"]
    run = lathe(home, *words, "--follow", "--json")
    assert run.returncode == 0, run.stderr
    job = json.loads(run.stdout)
    assert (job["state"], job["name"], job["kind"]) == ("completed", "words", "tokenizer")
    assert "completed" in run.stderr
    assert lathe(home, "supervisor", "status").returncode == 0
    (listed,) = lathe(home, "jobs", "list", "--json").objects()
    assert listed["id"] == job["id"]
    shown = json.loads(lathe(home, "models", "show", str(job["id"]), "--json").stdout)
    assert (shown["kind"], shown["ref"]) == ("tokenizer", f"job:{job['id']}")
    assert "attempt 1" in lathe(home, "jobs", "logs", "-f", str(job["id"])).stdout
    code, seen = on_terminal(home, "models", "list", columns=60)
    assert code == 0
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 60 for line in seen.splitlines())


def test_a_failing_job_gives_exit_code_1_and_its_reason(home: Path) -> None:
    words = ["train", "tokenizer", "--dataset", "texts.jsonl", "--create-only", "--json"]
    job = json.loads(lathe(home, *words).stdout)
    (home / "datasets" / "texts.jsonl").unlink()
    run = lathe(home, "jobs", "start", "--wait", str(job["id"]))
    assert run.returncode == 1
    assert "texts.jsonl" in run.stderr


def long_job(home: Path) -> list[str]:
    """A training that would take minutes."""
    made = lathe(home, "train", "tokenizer", "--dataset", "texts.jsonl", "--vocab-size", "300", "--follow", "--json")
    tokenizer = f"job:{json.loads(made.stdout)['id']}"
    return ["train", "pretrain", "--tokenizer", tokenizer, "--dataset", "texts.jsonl", "--max-steps", "1000000"]


def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(home: Path) -> None:
    code, seen = on_terminal(home, *long_job(home), "--follow", interrupt_at=b"running")
    assert code == 130, seen
    assert "goes on in the background" in seen
    assert "Traceback" not in seen
    assert "\x1b[2K" in seen
    (job,) = (j for j in lathe(home, "jobs", "list", "--json").objects() if j["kind"] == "pretrain")
    assert job["state"] == "running"
    stopped = lathe(home, "jobs", "stop", "--wait", "--json", str(job["id"]))
    assert [j["state"] for j in stopped.objects()] == ["stopped"]
    assert lathe(home, "jobs", "start", str(job["id"])).returncode == 0


def test_ctrl_c_in_the_demo_leaves_its_jobs_and_names_the_way_on(home: Path) -> None:
    code, seen = on_terminal(home, "demo", "--seed", "7", interrupt_at=b"running")
    assert code == 130, seen
    assert "The demo goes on in the background" in seen
    assert "http://127.0.0.1:" in seen
    assert "lathe demo --seed 7" in seen
    jobs = lathe(home, "jobs", "list", "--json").objects()
    assert len(jobs) == 7
    run = lathe(home, "jobs", "stop", *(str(j["id"]) for j in jobs if j["state"] not in ENDED))
    assert run.returncode in (0, 1)


def test_colour_only_where_it_is_wanted(home: Path) -> None:
    lathe(home, "train", "tokenizer", "--dataset", "texts.jsonl", "--create-only")
    assert "\x1b[" in on_terminal(home, "jobs", "list")[1]
    assert "\x1b[" not in on_terminal(home, "jobs", "list", NO_COLOR="1")[1]
    assert "\x1b[" not in on_terminal(home, "jobs", "list", TERM="dumb")[1]
    assert "\x1b[" not in lathe(home, "jobs", "list").stdout


def test_the_supervisor_starts_once_and_stops(home: Path) -> None:
    assert lathe(home, "supervisor", "status").returncode == 1
    assert lathe(home, "supervisor", "start").returncode == 0
    first = json.loads(lathe(home, "supervisor", "start", "--json").stdout)
    assert first["alive"] is True
    assert json.loads(lathe(home, "supervisor", "status", "--json").stdout)["pid"] == first["pid"]
    again = lathe(home, "supervisor", "run")
    assert again.returncode == 1
    assert f"is running already (pid {first['pid']})" in again.stderr
    ended = lathe(home, "supervisor", "stop")
    assert (ended.returncode, "has ended" in ended.stdout) == (0, True)
    assert "is not running" in lathe(home, "supervisor", "stop").stdout
    assert lathe(home, "supervisor", "status").returncode == 1


def test_a_job_is_tried_again_with_the_fix_of_its_alert(home: Path) -> None:
    place = open_workspace(home)
    job = jobs.create(place, "tokenizer", {"dataset": "texts.jsonl", "vocab_size": 300, "cpu_slots": 1}, name="Words")
    refused = lathe(home, "jobs", "fix", job.id)
    assert (refused.returncode, "No alert of “Words” has a fix" in refused.stderr) == (1, True)
    alerts.keep_end(place, job, [finding(vocab_size=310)], frozenset(), now(), well=False)
    told = lathe(home, "jobs", "fix", job.id)
    assert told.returncode == 0
    assert "vocab_size: 300 → 310" in told.stdout
    assert "Words (vocabulary 310)" in told.stdout
    (made,) = [j for j in jobs.list_jobs(place) if j.id != job.id]
    assert json.loads(lathe(home, "jobs", "fix", job.id, "--json").stdout)["id"] == made.id
    assert len(jobs.list_jobs(place)) == 2
    deadline = time.monotonic() + LIMIT
    while jobs.get(place, made.id).state not in ENDED and time.monotonic() < deadline:
        time.sleep(0.2)
    ended = jobs.get(place, made.id)
    assert (ended.state, ended.spec["vocab_size"]) == ("completed", 310)


def test_where_alerts_go_is_tested_with_real_servers(home: Path) -> None:
    unset = lathe(home, "alerts", "test")
    assert (unset.returncode, "Neither a webhook nor an e-mail address is set" in unset.stderr) == (1, True)
    with http_server(status(200)) as hook, smtp_server(refuse=b"554 no mail today\r\n") as post:
        chosen = {
            "webhook_private": "true",
            "webhook_url": f"http://127.0.0.1:{hook.port}/hook",
            "smtp_host": "127.0.0.1",
            "smtp_port": post.port,
            "smtp_security": "none",
            "mail_from": "lathe@example.org",
            "mail_to": "ann@example.org",
        }
        assert lathe(home, "options", "set", *(f"{k}={v}" for k, v in chosen.items())).returncode == 0
        told = lathe(home, "alerts", "test")
    assert told.returncode == 1
    assert "webhook: taken by the other side" in told.stdout
    assert "no mail today" in told.stdout
    assert json.loads(hook.requests[0][1])["test"] is True
    assert len(post.messages) == 1

"""Who a process is, and what belongs to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from platform_core.jobs import processes
from platform_core.jobs.processes import Identity


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True, env={**os.environ, "LATHE_JOB": "abc"}) as process:
        yield process
        process.kill()


def test_a_process_is_its_pid_its_start_and_its_boot(sleeper: subprocess.Popen[bytes]) -> None:
    found = processes.identity(sleeper.pid)
    assert found is not None
    assert processes.alive(found)
    assert Identity.from_json(found.as_json()) == found
    assert not processes.alive(replace(found, start_ticks=found.start_ticks + 1))
    assert not processes.alive(replace(found, boot_id="another"))
    assert not processes.alive(None)


def test_a_dead_child_that_nobody_waited_for_is_not_alive() -> None:
    process = subprocess.Popen(["sleep", "60"])
    found = processes.identity(process.pid)
    assert found is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    row = processes.look_up(process.pid)
    assert row is not None
    assert row.state == "Z"
    assert not processes.alive(found)
    process.wait()


def test_a_name_with_spaces_and_parentheses_is_read_right(tmp_path: Path) -> None:
    program = tmp_path / "a) R (b c"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([str(program), "60"]) as process:
        row = processes.look_up(process.pid)
        assert row is not None
        assert row.parent == os.getpid()
        assert abs(row.start_ticks - processes.me().start_ticks) < 1e6
        process.kill()


def test_members_are_session_descendants_and_whoever_holds_the_token(sleeper: subprocess.Popen[bytes]) -> None:
    leader = processes.me()
    code = "import subprocess; subprocess.Popen(['sleep', '60']).wait()"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as parent:
        found = processes.identity(parent.pid)
        assert found is not None
        while len(processes.members(found)) < 2:
            assert parent.poll() is None
        assert sleeper.pid not in processes.members(found)
        assert sleeper.pid in processes.members(found, "LATHE_JOB=abc")
        assert leader.pid not in processes.members(found, "LATHE_JOB=abc")
        assert processes.members(replace(found, start_ticks=found.start_ticks - 1)) == []
        assert processes.members(replace(found, boot_id="another")) == []
        processes.kill(processes.members(found), signal.SIGKILL)


@pytest.mark.parametrize("data", [None, {}, {"pid": 1}, {"pid": "x", "start_ticks": 1, "boot_id": "b"}, [1]])
def test_a_broken_card_is_nobody(data: object) -> None:
    assert Identity.from_json(data) is None


def test_without_proc_the_same_questions_are_answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path)
    monkeypatch.setattr(processes, "boot_id", processes.boot_id.__wrapped__)
    me = processes.me()
    assert me.boot_id.startswith("booted ")
    assert processes.alive(me)
    assert processes.out_of_memory_kills() is None
    assert not processes.has_token(os.getpid(), "A=B")

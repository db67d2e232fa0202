"""The report about machine and workspace: true on a good machine, and still there on a broken one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from pathlib import Path

import psutil
import pytest

from app.cli import main
from platform_core.environment import machine, software, workspace
from platform_core.environment.checks import Check, Report
from platform_core.environment.service import report
from platform_core.errors import Text
from platform_core.jobs.examine import default_cpu_slots
from platform_core.workspace.service import open_workspace


def find(made: Report, name: str) -> Check:
    return next(c for s in made.sections for c in s.checks if str(c.name) == name)


def test_a_good_machine_has_no_problem(tmp_path: Path) -> None:
    open_workspace(tmp_path / "home")
    made = report(tmp_path / "home")
    assert made.status != "problem"
    assert str(find(made, "Packages").found).endswith("as pinned")
    assert find(made, "Folder").status == find(made, "Database").status == "ok"
    assert made.disk is not None
    assert 0 < made.disk.free < made.disk.total


def test_looking_makes_nothing(tmp_path: Path) -> None:
    made = report(tmp_path / "home")
    assert not (tmp_path / "home").exists()
    assert "not made yet" in str(find(made, "Folder").found)
    assert str(find(made, "Database").found) == "not made yet"


def test_packages_that_differ_or_lack_are_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# a comment\nclick==0.1\npsycopg[binary]==3.3.9\nno-such-package-at-all==1.0\n")
    summary, *wrong = software.packages(file)
    assert str(summary.found) == "1 of 3 as pinned"
    assert [(str(c.name), c.status) for c in wrong] == [("click", "warning"), ("no-such-package-at-all", "problem")]
    assert all("make setup" in str(c.hint) for c in wrong)


def test_a_missing_requirements_file_is_a_warning_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software.packages, "__defaults__", (tmp_path / "nothing.txt",))
    check = find(report(tmp_path), "Packages")
    assert check.status == "warning"
    assert "could not be looked at" in str(check.found)


def test_programs_that_are_missing_are_named_with_their_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(software, "SERVER_PATHS", ())
    checks = software.programs()
    assert {c.status for c in checks} == {"warning"}
    assert "apt-get install chromium" in str(checks[0].hint)


def test_a_damaged_database_is_a_problem_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "platform.db").write_bytes(b"this is no database" * 100)
    check = workspace.database(tmp_path)
    assert check.status == "problem"
    assert "damaged" in str(check.hint)


def test_a_workspace_of_a_newer_version_is_a_problem(tmp_path: Path) -> None:
    open_workspace(tmp_path)
    with sqlite3.connect(tmp_path / "platform.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num='9999'")
    check = workspace.database(tmp_path)
    assert check.status == "problem"
    assert "newer version" in str(check.hint)


def test_a_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert workspace.folder(tmp_path / "home").status == "problem"
    assert report(tmp_path / "home").status == "problem"


@pytest.mark.parametrize(("free", "status"), [(2**20, "problem"), (2 * 2**30, "warning"), (10 * 2**30, "ok")])
def test_a_full_disk_is_said_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    assert machine.disk_space(tmp_path).status == status


def test_a_network_file_system_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = psutil.disk_partitions(all=True)
    remote = mounts[0]._replace(mountpoint=str(tmp_path.resolve()), fstype="nfs4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [*mounts, remote])
    check = machine.file_system(tmp_path / "home")
    assert check.status == "warning"
    assert "PLATFORM_DATABASE_URL" in str(check.hint)


def test_a_clock_that_was_set_back_is_noticed(tmp_path: Path) -> None:
    assert machine.clock(tmp_path).status == "ok"
    future = tmp_path.stat().st_mtime + 3600
    os.utime(tmp_path, (future, future))
    assert machine.clock(tmp_path).status == "warning"


def test_a_port_is_free_or_taken_by_another_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        check = workspace.port(number)
        assert check.status == "warning"
        assert f"--port {number + 1}" in str(check.hint)
    assert str(workspace.port(number).found) == "free"


def test_no_gpu_is_fine_and_a_broken_look_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Check]:
        raise OSError("driver on fire")

    monkeypatch.setattr(machine, "graphics", broken)
    check = find(report(tmp_path), "GPU")
    assert check.status == "warning"
    assert "driver on fire" in str(check.found)


def test_everything_can_be_translated(tmp_path: Path) -> None:
    for section in report(tmp_path).sections:
        for check in section.checks:
            assert isinstance(check.name, Text)
            assert isinstance(check.found, Text)


def test_doctor_prints_it_and_fails_only_for_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "home"))
    assert main(["doctor"]) == 0
    assert "Processor" in capsys.readouterr().out
    (tmp_path / "home").write_text("in the way")
    assert main(["doctor"]) == 1
    assert "✗ Folder" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "problem"
    assert {s["name"] for s in told["sections"]} == {"Software", "Machine", "Workspace", "Programs"}


def test_a_containers_memory_limit_counts_for_the_report_and_for_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "MEMORY_LIMIT", limit)
    whole = machine.memory_bytes()
    limit.write_text("max\n")
    assert machine.memory_bytes() == whole
    limit.write_text(f"{2**30}\n")
    assert machine.memory_bytes() == 2**30
    assert machine.memory().status == "warning"
    assert str(machine.memory().found).startswith("1.0 GiB")


def test_all_who_count_cores_count_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert machine.usable_cores() == default_cpu_slots() == 1
    assert str(machine.processor().found).startswith("1 cores")

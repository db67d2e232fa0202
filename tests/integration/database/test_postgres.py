"""The same code on PostgreSQL by URL: a real server on a socket of its own, no network."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_core.clock import monotonic
from platform_core.database.engine import writing
from platform_core.jobs import organize, service, store, supervision
from platform_core.jobs.states import ENDED
from platform_core.workspace.service import open_workspace


def programs() -> Path:
    """Debian keeps PostgreSQL's programs out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else Path(shutil.which("initdb") or "/usr/bin/initdb").parent


def as_owner(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = Path("/tmp") / f"lathe-pg-{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    data = folder / "data"
    initdb = [str(programs() / "initdb"), "--no-sync", "-A", "trust", "-U", "lathe", "-D", str(data)]
    subprocess.run(as_owner(initdb), check=True, cwd=folder, stdout=subprocess.DEVNULL)
    options = ["-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        command = as_owner([str(programs() / "postgres"), "-D", str(data), *options])
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    deadline = monotonic() + 30
    ready = [str(programs() / "pg_isready"), "-h", str(folder), "-q"]
    while subprocess.run(ready, check=False).returncode:
        assert server.poll() is None, (folder / "log").read_text()
        assert monotonic() < deadline, "PostgreSQL did not start"
    yield f"postgresql+psycopg://lathe@/postgres?host={folder}"
    postmaster = int((data / "postmaster.pid").read_text().split("\n")[0])
    os.kill(postmaster, signal.SIGINT)
    server.wait(20)
    shutil.rmtree(folder)


def test_jobs_live_on_postgresql(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", postgres_url)
    workspace = open_workspace(tmp_path)
    assert workspace.engine.dialect.name == "postgresql"
    (workspace.datasets / "t.jsonl").write_text('{"text": "one two"}\n' * 3)
    first = service.create(workspace, "tokenizer", {"dataset": "t.jsonl"}, name="100% sure", start=True)
    values = {"dataset": "t.jsonl", "tokenizer": f"job:{first.id}", "max_steps": 2}
    second = service.create(workspace, "pretrain", values)
    assert [j.id for j in service.list_jobs(workspace, search="100%")] == [first.id]
    assert service.count_jobs(workspace) == {"queued": 1, "pending": 1}
    assert [j.id for j in service.needs(workspace, second.id)] == [first.id]

    won, gate = [], threading.Barrier(4)

    def claim() -> None:
        gate.wait()
        with writing(workspace.engine) as connection:
            won.append(store.change_state(connection, first.id, ["queued"], "starting", "supervisor"))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(won) == [False, False, False, True]
    service.delete(workspace, second.id)
    assert service.restore(workspace, second.id).state == "pending"
    workspace.engine.dispose()
    again = open_workspace(tmp_path, busy_seconds=1)
    assert service.get(again, first.id).state == "starting"
    again.engine.dispose()


def test_a_supervisor_runs_jobs_from_postgresql(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", postgres_url)
    monkeypatch.setenv("LATHE_WARM", "0")
    workspace = open_workspace(tmp_path)
    (workspace.datasets / "t.jsonl").write_text('{"text": "one two one two"}\n' * 30)
    job = service.create(workspace, "tokenizer", {"dataset": "t.jsonl"}, start=True)
    supervision.ensure(workspace.home)
    deadline = monotonic() + 120
    try:
        while service.get(workspace, job.id).state not in ENDED:
            assert monotonic() < deadline, (workspace.home / "supervisor.log").read_text()
            time.sleep(0.1)
    finally:
        supervision.stop(workspace.home)
    job = service.get(workspace, job.id)
    assert job.state == "completed", job.reason
    assert (workspace.job_folder(job.id) / "output" / "tokenizer.json").is_file()
    workspace.engine.dispose()


def test_tags_on_postgresql_are_found_whole_and_none_is_lost(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", postgres_url)
    workspace = open_workspace(tmp_path)
    (workspace.datasets / "t.jsonl").write_text('{"text": "one two"}\n' * 3)
    tags = ["a", "ab", "50%", "50x", "a_b", "axb", 'say "a', "it's", "back\\slash", "基线", "[a", "x;drop"]
    made = {tag: service.create(workspace, "tokenizer", {"dataset": "t.jsonl"}) for tag in tags}
    for tag, job in made.items():
        organize.tag(workspace, job.id, ["of all", tag])
    for tag, job in made.items():
        assert [j.id for j in service.list_jobs(workspace, tag=tag)] == [job.id], tag
        assert sum(service.count_jobs(workspace, tag=tag).values()) == 1
    assert {j.id for j in service.list_jobs(workspace, tag="of all")} == {job.id for job in made.values()}
    assert set(organize.tags_in_use(workspace)) == {"of all", *tags}

    job, gate = made["a"], threading.Barrier(8)

    def add(number: int) -> None:
        gate.wait()
        for at in range(3):
            organize.tag(workspace, job.id, [f"t{number}.{at}"])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wanted = {"of all", "a", *(f"t{number}.{at}" for number in range(8) for at in range(3))}
    assert set(service.get(workspace, job.id).tags) == wanted
    workspace.engine.dispose()

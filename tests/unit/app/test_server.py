"""The server's edges: the address it takes, who may speak to it, uploads that are whole or not there."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from app.api.routes import api
from app.gate import Gate
from app.main import is_loopback, listen, serve
from platform_core.database.engine import writing
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.workspace.service import Workspace, _opened


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    return TestClient(api)


def test_a_port_in_use_is_a_sentence_before_anything_starts(workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match="port") as raised:
            serve("127.0.0.1", port)
    assert f"Port {port} of 127.0.0.1 can't be used: address already in use." in str(raised.value)


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(Problem) as raised:
        listen("no-such-host.invalid", 8501)
    assert "no-such-host.invalid is no address of this machine" in str(raised.value)


def test_a_home_that_is_a_file_is_a_sentence(home: Path) -> None:
    home.write_text("not a folder")
    with pytest.raises(Problem) as raised:
        serve("127.0.0.1", 0)
    assert f"The workspace {home} can't be used" in str(raised.value)


def test_a_workspace_of_a_newer_version_is_refused(workspace: Workspace) -> None:
    with writing(workspace.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    workspace.engine.dispose()
    _opened.cache_clear()
    with pytest.raises(Problem) as raised:
        serve("127.0.0.1", 0)
    assert "made by a newer version" in str(raised.value)


def test_the_socket_answers_without_delay() -> None:
    """asyncio sets TCP_NODELAY only on sockets that name their protocol."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert not listener.get_inheritable()


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("lab", False)]
)
def test_what_only_this_machine_can_reach(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"host": "127.0.0.1:8501"}, True),
        ({"host": "localhost:8501", "origin": "http://localhost:8501"}, True),
        ({"host": "[::1]:8501", "origin": "http://[::1]:8501"}, True),
        ({"host": "lab.example:8501"}, True),
        ({"host": "127.0.0.1:8501", "origin": "https://lab.example"}, True),
        ({"host": "rebound.example:8501"}, False),
        ({"host": "rebound.example:8501", "origin": "http://rebound.example:8501"}, False),
        ({"host": "127.0.0.1:8501", "origin": "http://evil.example"}, False),
        ({"host": "127.0.0.1:8501", "origin": "http://127.0.0.1:9999"}, False),
        ({"host": "127.0.0.1:8501", "origin": "http://localhost:9999"}, False),
        ({"host": "127.0.0.1:8501", "origin": "null"}, False),
        ({"host": "127.0.0.1:8501", "sec-fetch-site": "cross-site"}, False),
        ({"host": "127.0.0.1:8501", "sec-fetch-site": "same-site"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": ""}, False),
    ],
)
def test_who_may_act(headers: dict[str, str], passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_HOSTS", "lab.example")
    gate = Gate(api, "127.0.0.1")
    assert (gate.refusal(Headers(headers), acts=True) is None) is passes


def test_an_upload_is_stored_as_it_came(client: TestClient, workspace: Workspace) -> None:
    body = b'{"text": "one"}\n' * 50_000

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    answer = client.put("/upload/texts.jsonl", content=chunks())
    assert answer.status_code == 201
    assert answer.json() == {"name": "texts.jsonl", "size_bytes": len(body)}
    assert (workspace.datasets / "texts.jsonl").read_bytes() == body


def test_a_taken_name_is_kept_unless_asked(client: TestClient, workspace: Workspace) -> None:
    assert client.get("/upload/a.jsonl").json() == {"taken": False}
    assert client.put("/upload/a.jsonl", content=b'{"text": "old"}').status_code == 201
    assert client.get("/upload/a.jsonl").json() == {"taken": True}
    refused = client.put("/upload/a.jsonl", content=b'{"text": "new"}')
    assert refused.status_code == 422
    assert refused.json()["fields"] == ["name"]
    assert b"old" in (workspace.datasets / "a.jsonl").read_bytes()
    assert client.put("/upload/a.jsonl?replace=true", content=b'{"text": "new"}').status_code == 201
    assert b"new" in (workspace.datasets / "a.jsonl").read_bytes()


@pytest.mark.parametrize(
    "name", ["program.exe", ".hidden.jsonl", "..%2f..%2fetc%2fpasswd.jsonl", "a%00.jsonl", "a b.csv"]
)
def test_a_bad_name_is_refused_and_nothing_is_kept(client: TestClient, workspace: Workspace, name: str) -> None:
    answer = client.put(f"/upload/{name}", content=b'{"text": "x"}')
    assert answer.status_code in (404, 422)
    assert list(workspace.datasets.iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(client: TestClient, workspace: Workspace) -> None:
    def broken() -> Iterator[bytes]:
        yield b'{"text": "half'
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        client.put("/upload/half.jsonl", content=broken())
    assert list(workspace.datasets.iterdir()) == []


def test_jobs_as_json_and_their_logs_as_text(client: TestClient, workspace: Workspace, model: str, sums: str) -> None:
    job = jobs.create(workspace, "sft", {"model": model, "dataset": sums}, name="First")
    assert [j["id"] for j in client.get("/jobs").json()] == [job.id]
    shown = client.get(f"/jobs/{job.id}").json()
    assert (shown["state"], shown["kind"], shown["name"]) == ("pending", "sft", "First")
    assert client.get(f"/jobs/{job.id}/log").status_code == 422
    with writing(workspace.engine) as connection:
        connection.execute(text("UPDATE jobs SET attempt = 1"))
    log = workspace.job_folder(job.id) / "attempts" / "1" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("<b>step 1</b>\n")
    answer = client.get(f"/jobs/{job.id}/log")
    assert answer.text == "<b>step 1</b>\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"].startswith("attachment")
    json.dumps(shown)

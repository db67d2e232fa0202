"""The journey of a person with data and a model of their own: upload, see it checked, fill the form, start."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from platform_core.datasets import service as datasets
from platform_core.jobs import service as jobs

Server = Any
Opened = Callable[..., None]


@pytest.fixture
def sums_file(tmp_path: Path) -> Path:
    """Fifty sums, of which two rows are broken."""
    rows = [json.dumps({"prompt": f"{a}+{a}=", "response": str(2 * a)}) for a in range(48)]
    path = tmp_path / "my sums (1).jsonl"
    path.write_text("\n".join([*rows, '{"prompt": "3+', '{"prompt": "4+4="}']) + "\n")
    return path


def test_upload_check_form_start(page: Page, server: Server, opened: Opened, tiny_model: str, sums_file: Path) -> None:
    before = {job.id for job in jobs.list_jobs(server.workspace, kinds=["sft"])}
    opened(page, "/datasets")
    page.locator("input[type=file]").set_input_files(sums_file)
    expect(page.get_by_role("heading", name="my-sums-1.jsonl")).to_be_visible()
    expect(page.get_by_text("2 of 50 rows can't be used")).to_be_visible()
    page.get_by_role("tab", name="Problems").click()
    page.get_by_role("button", name="Train on it: SFT").click()
    expect(page.get_by_role("heading", name="New job: SFT")).to_be_visible()
    steps = page.get_by_label("Steps", exact=True)
    steps.fill("3")
    steps.press("Enter")
    rate = page.get_by_label("Learning rate", exact=True)
    rate.fill("1e5")
    rate.press("Enter")
    expect(page.locator(".st-key-sft-learning_rate").first).to_contain_text("did you mean 1e-5")
    expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    rate.fill("1e-4")
    rate.press("Enter")
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled()
    start.dblclick()
    page.wait_for_url("**/monitor?job=*")
    made = [job for job in jobs.list_jobs(server.workspace, kinds=["sft"]) if job.id not in before]
    assert len(made) == 1, "two presses made more than one job"
    assert made[0].spec["dataset"] == "my-sums-1.jsonl"
    assert made[0].spec["max_steps"] == 3
    assert made[0].state != "pending"


def test_an_edit_outlives_another_one_that_is_still_being_drawn(
    page: Page, server: Server, opened: Opened, tiny_model: str
) -> None:
    sockets: list[WebSocketRoute] = []
    held: list[str | bytes] | None = None

    def between(socket: WebSocketRoute) -> None:
        """Pass everything on, but keep what the server says while `held` is a list."""
        sockets.append(socket)
        socket.connect_to_server().on_message(lambda said: socket.send(said) if held is None else held.append(said))

    page.route_web_socket("**/_stcore/stream", between)
    opened(page, "/new-job?kind=pretrain")
    steps, rate = page.get_by_label("Steps", exact=True), page.get_by_label("Learning rate", exact=True)
    held = []
    steps.fill("77")
    steps.press("Enter")
    while not any(finished(said) for said in held):
        page.wait_for_timeout(20)
    rate.fill("1e-4")
    rate.press("Enter")
    while held:
        sockets[0].send(held.pop(0))
    held = None
    box = page.get_by_role("textbox", name="The job as YAML")
    expect(box).to_have_value(re.compile("max_steps: 77"))
    expect(box).to_have_value(re.compile("learning_rate: 0.0001"))
    expect(steps).to_have_value("77")
    expect(rate).to_have_value("1e-4")


def finished(said: str | bytes) -> bool:
    """Whether a message of Streamlit ends a run of the page."""
    message = ForwardMsg()
    message.ParseFromString(said if isinstance(said, bytes) else said.encode())
    return message.WhichOneof("type") == "script_finished"


def test_a_row_that_is_read_in_full_has_an_address(page: Page, server: Server, opened: Opened) -> None:
    rows = [json.dumps({"prompt": f"{a}+{a}=", "response": str(2 * a)}) for a in range(48)]
    (server.workspace.datasets / "doubles.jsonl").write_text("\n".join(rows) + "\n")
    opened(page, "/datasets?name=doubles.jsonl&p=2")
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()
    table.locator(".dvn-scroller").click(position={"x": 15, "y": 90})
    page.wait_for_url("**row=22*")
    expect(page.get_by_text("Row 22 in full")).to_be_visible()
    page.reload()
    expect(page.get_by_text('"prompt": "21+21="')).to_be_visible(timeout=30_000)
    assert "p=2" in page.url


def test_a_name_that_is_taken_can_be_kept_beside_the_old_one(
    page: Page, server: Server, opened: Opened, tmp_path: Path
) -> None:
    file = tmp_path / "twice.jsonl"
    for text in ("first", "second"):
        file.write_text(json.dumps({"text": text}) + "\n")
        opened(page, "/datasets")
        page.locator("input[type=file]").set_input_files(file)
        if text == "second":
            page.get_by_role("button", name="Keep both").click()
            expect(page.get_by_role("heading", name="twice-2.jsonl")).to_be_visible()
        else:
            expect(page.get_by_role("heading", name="twice.jsonl")).to_be_visible()
    names = [d.name for d in datasets.list_datasets(server.home)]
    assert {"twice.jsonl", "twice-2.jsonl"} <= set(names)


def test_what_can_not_be_a_dataset_is_told_and_nothing_is_kept(
    new_page: Callable[..., Page], server: Server, opened: Opened, tmp_path: Path
) -> None:
    page = new_page(tolerate="/api/upload/")
    opened(page, "/datasets")
    before = {p.name for p in (server.home / "datasets").iterdir()}
    program = tmp_path / "program.exe"
    program.write_bytes(b"MZ" + bytes(100))
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    for file, sentence in ((program, "has no ending of a data file"), (empty, "is empty")):
        page.locator("input[type=file]").set_input_files(file)
        expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
    assert {p.name for p in (server.home / "datasets").iterdir()} == before


def test_the_uploader_can_be_reached_and_used_by_keyboard(page: Page, opened: Opened) -> None:
    opened(page, "/datasets")
    button = page.get_by_role("button", name="Choose files")
    button.focus()
    expect(button).to_be_focused()
    with page.expect_file_chooser():
        button.press("Enter")


def test_narrow_screens_do_not_scroll_sideways(new_page: Callable[..., Page], opened: Opened, tiny_model: str) -> None:
    page = new_page(viewport={"width": 420, "height": 900}, color_scheme="dark")
    for path in ("/datasets", "/models", f"/models?ref={tiny_model}", "/new-job", "/new-job?kind=pretrain"):
        opened(page, path)
        page.get_by_role("heading", level=1).wait_for()
        width = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth")
        assert width <= 420, path


def test_no_other_site_may_act_here(server: Server) -> None:
    def status(path: str, method: str = "GET", **headers: str) -> int:
        request = urllib.request.Request(server.url + path, method=method, headers=headers)
        request.data = b"{}" if method == "PUT" else None
        try:
            return int(urllib.request.urlopen(request, timeout=10).status)
        except urllib.error.HTTPError as error:
            return error.code

    port = server.url.rsplit(":", 1)[1]
    assert status("/api/health") == 200
    assert status("/api/upload/x.jsonl", "PUT", Origin="http://elsewhere.example") == 403
    assert status("/api/upload/x.jsonl", "PUT", Origin="null") == 403
    assert status("/api/upload/x.jsonl", "PUT", **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert status("/", Host=f"rebound.example:{port}") == 403
    assert status("/_stcore/host-config", Host=f"rebound.example:{port}") == 403
    assert not (server.home / "datasets" / "x.jsonl").exists()


def test_a_websocket_from_another_site_is_refused(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")

    def first_line(origin: str) -> str:
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(
                f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            return connection.recv(64).decode().splitlines()[0]

    assert "101" in first_line(server.url)
    assert "403" in first_line("http://elsewhere.example")

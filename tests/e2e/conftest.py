"""One real server and one real browser for the whole run, a fresh context for each test.

A test fails when the browser's console shows an error or when a page asks any other host for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from platform_core.jobs import service as jobs
from platform_core.jobs import supervision
from platform_core.jobs.states import ACTIVE, STOPPABLE
from platform_core.workspace.service import Workspace, open_workspace

ROOT = Path(__file__).resolve().parents[2]
SETTLED = "[data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]
PATIENCE = 30_000
"""Milliseconds that a page may take on a slow machine that does other things, too."""
expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Server:
    """A running `lathe serve`: its address and the workspace it serves."""

    url: str
    home: Path

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.home)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served")) as started:
        yield started


@contextmanager
def serving(folder: Path, **more: str) -> Iterator[Server]:
    """A server on a workspace of its own in `folder`; it and what it started are ended afterwards."""
    process, started = serve(folder / "workspace", folder / "server.log", **more)
    try:
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        end_jobs(started.home)


def serve(home: Path, output: Path, port: int = 0, **more: str) -> tuple[subprocess.Popen[bytes], Server]:
    """Start `lathe serve` on a workspace and wait until it says where it is; what it says goes to `output`."""
    environment = {**os.environ, "PLATFORM_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with output.open("wb") as log:
        process = subprocess.Popen(command, cwd=output.parent, env=environment, stdout=log, stderr=log)
    return process, Server(address(process, output), home)


def address(process: subprocess.Popen[bytes], output: Path) -> str:
    """Where the server says it is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said = output.read_text(errors="replace")
        found = re.search(r"http://\S+", said)
        if found:
            return found[0].rstrip(")")
        assert process.poll() is None, said
        time.sleep(0.05)
    raise AssertionError(f"no address in 60 s: {output.read_text(errors='replace')}")


def end_jobs(home: Path) -> None:
    """Stop what still runs, then the supervisor, so that no process outlives the tests."""
    workspace = open_workspace(home)
    for job in jobs.list_jobs(workspace, states=list(STOPPABLE)):
        jobs.stop(workspace, job.id)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and jobs.list_jobs(workspace, states=list(ACTIVE)):
        time.sleep(0.1)
    supervision.stop(home)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "These tests need Chromium: apt-get install chromium, or name it with CHROMIUM=/path."
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """Make a page in a context of its own (`color_scheme`, `viewport`, `locale`); errors on it fail the test.

    `tolerate`: a part of the addresses whose refusals (4xx) the test means to provoke.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    # a page opened by its deep link first looks for Streamlit's own addresses beside it
    meant = ["/_stcore/"]

    def console(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.location.get("url", "") for part in meant):
            wrong.append(f"console: {message.text}")

    def foreign(request: Request) -> None:
        if not request.url.startswith((server.url, server.url.replace("http", "ws"), "data:", "blob:")):
            wrong.append(f"foreign request: {request.url}")

    def make(tolerate: str | None = None, **options: object) -> Page:
        meant.extend([tolerate] if tolerate else [])
        defaults: dict[str, object] = {"viewport": {"width": 1440, "height": 900}, "locale": "en-US"}
        context = browser.new_context(**{**defaults, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("console", console)
        page.on("request", foreign)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


@pytest.fixture
def opened(server: Server) -> Callable[..., None]:
    """Go to a path of the server and wait until the page is drawn."""

    def go(page: Page, path: str = "/") -> None:
        page.goto(server.url + path)
        page.locator(SETTLED).wait_for()

    return go


@pytest.fixture(scope="session")
def tiny_model(server: Server) -> str:
    return make_tiny_model(server)


def make_tiny_model(server: Server) -> str:
    """A two-layer Llama with a byte-level tokenizer in the library; its name."""
    folder = server.workspace.models / "tiny-llama"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(["1+1=2"], trainers.BpeTrainer(special_tokens=["<eos>"], initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<eos>", pad_token="<eos>")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return "tiny-llama"

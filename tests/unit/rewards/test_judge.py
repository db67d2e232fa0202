"""An LLM judge is asked over a real local server; only servers that may be asked are, and the key goes nowhere else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from platform_core.errors import Problem
from platform_core.rewards import chat_client
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.kinds.llm_judge import QUESTION, filled
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.spec import Reward


@dataclass
class Judge:
    """A server that answers chats: what it was asked, and what it answers, the last one again and again."""

    answers: list[tuple[int, str | bytes]]
    port: int = 0
    asked: list[tuple[dict[str, str], Any]] = field(default_factory=list)


def chat(said: str) -> tuple[int, str]:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": said}}]})


@contextmanager
def judge(*answers: tuple[int, str | bytes]) -> Iterator[Judge]:
    kept = Judge(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.asked.append((dict(self.headers), {"path": self.path, **body}))
            status, said = kept.answers[min(len(kept.asked), len(kept.answers)) - 1]
            data = said.encode() if isinstance(said, str) else said
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if status == 302:
                self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATHE_JUDGE_HOSTS", "127.0.0.1")
    monkeypatch.delenv("LATHE_JUDGE_LOGIN", raising=False)
    monkeypatch.setattr(chat_client, "FIRST_WAIT", 0.001)


def rated(kept: Judge, answer: Answer | None = None, **more: Any) -> Score:
    function = {"kind": "llm_judge", "address": f"http://127.0.0.1:{kept.port}/v1", "model": "m", **more}
    with open_scorer(Reward.model_validate({"functions": [function]})) as scorer:
        return scorer.score([answer or Answer("an answer", "right", "a question", number=2)])[0]


@pytest.mark.parametrize(
    ("reply", "value"),
    [("8", 0.8), ("Good.\n7.5", 0.75), ("<think>1</think>10", 1), ("from 3 to 9", 0.9), ("900", 1), ("-4", 0)],
)
def test_the_last_number_of_the_reply_is_the_rating(reply: str, value: float) -> None:
    with judge(chat(reply)) as kept:
        assert rated(kept).value == pytest.approx(value)
    _headers, asked = kept.asked[0]
    assert asked["path"] == "/v1/chat/completions"
    assert (asked["model"], asked["temperature"]) == ("m", 0)
    assert "a question" in asked["messages"][0]["content"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    with judge((status, "busy"), (status, "busy"), chat("5")) as kept:
        assert rated(kept).value == 0.5
    assert len(kept.asked) == 3


@pytest.mark.parametrize(
    ("answer", "said", "tries"),
    [
        ((500, "no"), "no answer after 3 tries: status 500", 3),
        ((401, "no"), "answers 401", 1),
        ((302, ""), "answers 302", 1),
        ((200, "<html>"), "does not answer as OpenAI", 1),
        ((200, '{"choices": []}'), "does not answer as OpenAI", 1),
        ((200, "[" * 100_000), "does not answer as OpenAI", 1),
        (chat("no idea"), "gave no rating", 1),
    ],
)
def test_no_rating_is_an_error_of_that_row(answer: tuple[int, str], said: str, tries: int) -> None:
    with judge(answer) as kept:
        score = rated(kept, retries=2)
    assert score.value == 0
    assert said in str(score.error)
    assert "row 2" in str(score.error)
    assert len(kept.asked) == tries


def test_a_server_that_is_gone_and_one_that_is_silent() -> None:
    with judge(chat("1")) as kept:
        pass
    assert "after 1 tries" in str(rated(kept, retries=0).error)


def test_the_key_goes_to_listed_servers_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret-7\n")
    monkeypatch.setenv("LATHE_JUDGE_LOGIN", str(tmp_path / "key"))
    with judge(chat("5")) as kept:
        rated(kept)
        assert kept.asked[0][0]["Authorization"] == "Bearer secret-7"
        monkeypatch.setattr(chat_client, "may_be_asked", lambda address, private: True)
        monkeypatch.setenv("LATHE_JUDGE_HOSTS", "")
        rated(kept)
        assert "Authorization" not in kept.asked[1][0]


@pytest.mark.parametrize("host", ["localhost", "10.0.0.1", "169.254.169.254", "[::1]", "2130706433", "0.0.0.0"])
def test_inside_addresses_are_asked_only_when_an_operator_lists_them(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("LATHE_JUDGE_HOSTS", "")
    function = {"kind": "llm_judge", "address": f"http://{host}:1/v1", "model": "m"}
    with (
        pytest.raises(Problem, match="inside this machine"),
        open_scorer(Reward.model_validate({"functions": [function]})),
    ):
        pass


@pytest.mark.parametrize(
    ("hosts", "host", "said"),
    [("judge.example.org", "127.0.0.1", "is not among those"), ("127.0.0.1:9", "127.0.0.1", "is not among those"),
     ("169.254.169.254", "169.254.169.254", "inside this machine")],
)  # fmt: skip
def test_a_list_allows_nobody_else(monkeypatch: pytest.MonkeyPatch, hosts: str, host: str, said: str) -> None:
    monkeypatch.setenv("LATHE_JUDGE_HOSTS", hosts)
    function = {"kind": "llm_judge", "address": f"http://{host}:1/v1", "model": "m"}
    with pytest.raises(Problem, match=said), open_scorer(Reward.model_validate({"functions": [function]})):
        pass


def test_a_completion_cannot_bring_in_the_reference() -> None:
    asked = filled(QUESTION, Answer("{reference} {prompt}", "the secret", "q"))
    assert asked.count("the secret") == 1
    assert "{reference} {prompt}" in asked

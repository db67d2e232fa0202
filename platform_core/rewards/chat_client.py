"""Asking an OpenAI-compatible server one question, with retries; only servers that may be asked."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from platform_core.errors import Problem
from platform_core.security.limit import limited
from platform_core.security.outgoing import Pinned, addresses, may_be_asked
from platform_core.settings import judge_hosts, judge_login

RETRIED = (408, 429, 500, 502, 503, 504)
READ_BYTES = 4 << 20
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0


class Busy(Exception):
    """The server could not answer now; `wait` is what it asked for, in seconds."""

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


@dataclass(frozen=True)
class Chat:
    """A server and model; `seconds` limits one try."""

    address: str
    model: str
    max_tokens: int
    seconds: float
    retries: int
    _parts: SplitResult = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parts", urlsplit(self.address))
        self._judged()

    def ask(self, question: str) -> str:
        """The reply. Raises Problem when there is none after all retries."""
        for tried in range(self.retries + 1):
            try:
                return self._try(question)
            except Busy as busy:
                if tried == self.retries:
                    raise Problem(
                        "the judge at {host} gave no answer after {n} tries: {reason}",
                        host=self._parts.hostname,
                        n=tried + 1,
                        reason=str(busy),
                    ) from None
                time.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**tried if busy.wait is None else busy.wait))
        raise AssertionError

    def _try(self, question: str) -> str:
        address, key = self._judged()
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        headers = {"Content-Type": "application/json", "User-Agent": "lathe", "Connection": "close"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection = Pinned(*self._server(), address, self._parts.scheme == "https", self.seconds)
        path = self._parts.path.rstrip("/") + "/chat/completions"
        try:
            with limited(lambda: connection.sock, self.seconds) as over:
                connection.request("POST", path, json.dumps(body).encode(), headers)
                answer = connection.getresponse()
                said = answer.read(READ_BYTES)
            if over.is_set():
                raise Busy(f"no answer within {self.seconds:g} s")
        except (OSError, http.client.HTTPException) as error:
            raise Busy(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if answer.status in RETRIED:
            raise Busy(f"status {answer.status}", _seconds(answer.getheader("Retry-After")))
        if answer.status != 200:
            raise Problem("the judge at {host} answers {status}", host=self._parts.hostname, status=answer.status)
        return _reply(said, str(self._parts.hostname))

    def _server(self) -> tuple[str, int]:
        default = 443 if self._parts.scheme == "https" else 80
        return self._parts.hostname or "", self._parts.port or default

    def _judged(self) -> tuple[str, str]:
        """An address that may be asked, and the key for it; raises Problem."""
        host, port = self._server()
        known = judge_hosts()
        listed = bool(known & {host, f"{host}:{port}"})
        if known and not listed:
            raise Problem("The judge's server {host} is not among those of LATHE_JUDGE_HOSTS: add it there.", host=host)
        try:
            found = addresses(host, port)
        except OSError as error:
            raise Problem("The judge's server {host} is not known: check its name.", host=host) from error
        for address in found:
            if not may_be_asked(address, private=listed):
                raise Problem(
                    "The judge's server {host} is at {address}, inside this machine or a private network: an operator "
                    "allows it by naming it in LATHE_JUDGE_HOSTS.",
                    host=host,
                    address=address,
                )
        return found[0], judge_login() if listed else ""


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _reply(said: bytes, host: str) -> str:
    """The text of a chat completion; raises Problem for anything else."""
    try:
        data: Any = json.loads(said)
        return str(data["choices"][0]["message"]["content"] or "")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise Problem("the judge at {host} does not answer as OpenAI's chat completions do", host=host) from None

"""POST an alert as JSON to an address that an operator typed, without becoming a way into the lab's network.

The name is resolved once, every address it has is judged, and the connection goes to one of those judged: a name that
resolves differently a moment later gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from platform_core.errors import Problem
from platform_core.security.limit import limited
from platform_core.security.outgoing import Pinned, addresses, may_be_asked, target

SECONDS = 10.0
"""For all of one delivery: connect, send, answer."""
READ_BYTES = 65_536


def post(url: str, body: Mapping[str, Any], key: str, private: bool, seconds: float = SECONDS) -> None:
    """Deliver `body`; `key` is the same whenever the same is sent again. Raises Problem unless the answer is 2xx."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = judged(host, port, private)
    headers = {"Content-Type": "application/json", "User-Agent": "lathe", "Idempotency-Key": key, "Connection": "close"}
    connection = Pinned(host, port, address, parts.scheme == "https", seconds)
    over = Event()
    try:
        with limited(lambda: connection.sock, seconds) as over:
            connection.request("POST", target(parts), json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            answer.read(READ_BYTES)
        if over.is_set():
            raise TimeoutError
    except TimeoutError as error:
        raise _late(host, seconds) from error
    except (OSError, http.client.HTTPException) as error:
        if over.is_set():
            raise _late(host, seconds) from error
        raise Problem(
            "The webhook's server {host} can't be reached or breaks off: {reason}.",
            host=host,
            reason=str(error) or type(error).__name__,
        ) from error
    finally:
        connection.close()
    if 300 <= answer.status < 400:
        raise Problem("The webhook at {host} answers with a redirect: set the address it leads to instead.", host=host)
    if not 200 <= answer.status < 300:
        raise Problem("The webhook at {host} answers {status}.", host=host, status=answer.status)


def judged(host: str, port: int, private: bool) -> str:
    """An address of `host` that may be asked; raises Problem when one of its addresses is not allowed."""
    try:
        found = addresses(host, port)
    except OSError as error:
        raise Problem("The webhook's server {host} is not known: check its name.", host=host) from error
    for address in found:
        if not may_be_asked(address, private):
            raise Problem(
                "The webhook's server {host} is at {address}, inside this machine or a private network: allow that "
                "with “Webhook may be inside”, or choose another address.",
                host=host,
                address=address,
            )
    return found[0]


def _late(host: str, seconds: float) -> Problem:
    return Problem("The webhook at {host} did not answer within {seconds} s.", host=host, seconds=f"{seconds:g}")

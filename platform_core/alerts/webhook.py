"""POST an alert as JSON to an address that an operator typed, without becoming a way into the lab's network.

The name is resolved once, every address it has is judged, and the connection goes to one of those judged: a name that
resolves differently a moment later gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from threading import Event
from typing import Any
from urllib.parse import SplitResult, urlsplit

from platform_core.alerts.limit import limited
from platform_core.errors import Problem

SECONDS = 10.0
"""For all of one delivery: connect, send, answer."""
READ_BYTES = 65_536
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that hold an IPv4 address (RFC 6052), as do mapped, 6to4 and Teredo ones."""


def post(url: str, body: Mapping[str, Any], key: str, private: bool, seconds: float = SECONDS) -> None:
    """Deliver `body`; `key` is the same whenever the same is sent again. Raises Problem unless the answer is 2xx."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = judged(host, port, private)
    headers = {"Content-Type": "application/json", "User-Agent": "lathe", "Idempotency-Key": key, "Connection": "close"}
    connection = _Pinned(host, port, address, parts.scheme == "https", seconds)
    over = Event()
    try:
        with limited(lambda: connection.sock, seconds) as over:
            connection.request("POST", _target(parts), json.dumps(body).encode(), headers)
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
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Problem("The webhook's server {host} is not known: check its name.", host=host) from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not _allowed(address, private):
            raise Problem(
                "The webhook's server {host} is at {address}, inside this machine or a private network: allow that "
                "with “Webhook may be inside”, or choose another address.",
                host=host,
                address=address,
            )
    return addresses[0]


def _allowed(address: str, private: bool) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _allowed(str(inner), private)
    # link-local has the clouds' metadata service, which gives out credentials: never allowed
    if ip.is_multicast or ip.is_unspecified or ip.is_link_local:
        return False
    return ip.is_global or (private and (ip.is_private or ip.is_loopback))


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _late(host: str, seconds: float) -> Problem:
    return Problem("The webhook at {host} did not answer within {seconds} s.", host=host, seconds=f"{seconds:g}")


class _Pinned(http.client.HTTPConnection):
    """A connection to one judged address; the name counts for the Host header and the certificate."""

    def __init__(self, host: str, port: int, address: str, encrypted: bool, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self.default_port = 443 if encrypted else 80
        self.address, self.encrypted = address, encrypted

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.encrypted:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

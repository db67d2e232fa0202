"""Asking a server whose address a person typed, without becoming a way into the lab's network.

A name is resolved once, every address it has is judged, and the connection goes to one of those judged: a name that
resolves differently a moment later gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from urllib.parse import SplitResult

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 addresses that hold an IPv4 address (RFC 6052), as do mapped, 6to4 and Teredo ones."""


def addresses(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises OSError when it is not known."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    return [str(entry[4][0]) for entry in found]


def may_be_asked(address: str, private: bool) -> bool:
    """Whether an address is a public one, or with `private` one of this machine or its network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return may_be_asked(str(inner), private)
    # link-local has the clouds' metadata service, which gives out credentials: never allowed
    if ip.is_multicast or ip.is_unspecified or ip.is_link_local:
        return False
    return ip.is_global or (private and (ip.is_private or ip.is_loopback))


def target(parts: SplitResult) -> str:
    """The path and query of an address, as a request names them."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class Pinned(http.client.HTTPConnection):
    """A connection to one judged address; the name counts for the Host header and the certificate."""

    def __init__(self, host: str, port: int, address: str, encrypted: bool, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self.default_port = 443 if encrypted else 80
        self.address, self.encrypted = address, encrypted

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.encrypted:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

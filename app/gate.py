"""One gate before pages, websocket, API and files: only our own names as Host, only our own pages as Origin.

A foreign web page in another tab can send requests here (cross-site request forgery), and can make its own name point
here (DNS rebinding). The first shows in `Origin` or `Sec-Fetch-Site`, the second in `Host`.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from platform_core.settings import more_hosts

SAFE = ("GET", "HEAD", "OPTIONS")


class Gate:
    """ASGI middleware; `PLATFORM_HOSTS` names further hosts, such as a reverse proxy's."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.proxies = more_hosts()
        self.names = {"localhost", host.lower(), socket.gethostname().lower()} | self.proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here with 403."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        reason = self.refusal(headers, scope["type"] == "websocket" or scope["method"] not in SAFE)
        if reason is None:
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()
            return await send({"type": "websocket.close", "code": 4403, "reason": reason[:120]})
        return await JSONResponse({"detail": reason}, 403)(scope, receive, send)

    def refusal(self, headers: Headers, acts: bool) -> str | None:
        """Why a request must not pass; `acts`: it can change something or opens a session."""
        host = headers.get("host", "")
        if not self.is_ours(host):
            return "This name is not one of this server's: add it to PLATFORM_HOSTS if it is."
        if not acts:
            return None
        origin = headers.get("origin")
        if origin is not None and not self.same(origin, host):
            return "A page of another site may not act here."
        if origin is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "A page of another site may not act here."
        return None

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this server; a plain address always does, since rebinding needs a name."""
        name = name_of(host)
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def same(self, origin: str, host: str) -> bool:
        """Whether a page at `origin` is one that this server (or its proxy) has given out."""
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https"):
            return False
        return parts.netloc.lower() == host.lower() or name_of(parts.netloc) in self.proxies


def name_of(netloc: str) -> str:
    """The host of `host:port`, lower case, without the brackets of IPv6."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""

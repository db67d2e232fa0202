"""A real SMTP and a real HTTP server on this machine, in threads, that remember what they were sent."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Received:
    """What a server was given: commands and messages of mail, or headers and bodies of requests."""

    port: int = 0
    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)


@contextmanager
def smtp_server(certificate: Path | None = None, refuse: bytes = b"", tls: bool = False) -> Iterator[Received]:
    """An SMTP server; with a certificate it offers STARTTLS (`tls`: speaks TLS from the first byte on)."""
    got, loop, ready = Received(), asyncio.new_event_loop(), Event()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            said = line.decode().strip()
            verb = said.split(" ")[0].upper()
            got.commands.append(said)
            if verb == "EHLO":
                offers = [b"250-here"]
                if context is not None and not writer.get_extra_info("sslcontext"):
                    offers.append(b"250-STARTTLS")
                writer.write(b"\r\n".join([*offers, b"250 AUTH PLAIN\r\n"]))
            elif verb == "STARTTLS" and context is not None:
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(context)
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                got.messages.append(await reader.readuntil(b"\r\n.\r\n"))
                got.encrypted.append(writer.get_extra_info("sslcontext") is not None)
                writer.write(refuse or b"250 taken\r\n")
            elif verb == "AUTH":
                writer.write(b"235 in\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
            await writer.drain()
        writer.close()

    servers: list[asyncio.Server] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context if tls else None)
        got.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        ready.set()

    async def close() -> None:
        servers[0].close()
        for writer in writers:
            writer.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)

    def run() -> None:
        loop.set_exception_handler(lambda loop, context: None)  # a client may break off
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(close())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield got
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


@contextmanager
def dripping_server(certificate: Path | None = None) -> Iterator[int]:
    """A mail server, with a certificate over TLS, whose greeting comes letter by letter and never ends; its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            line = self.request
            with suppress(OSError):
                if certificate is not None:
                    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                    context.load_cert_chain(certificate)
                    line = context.wrap_socket(line, server_side=True)
                with line:
                    line.sendall(b"220 ")
                    while not over.wait(0.05):
                        line.sendall(b"x")

    over = Event()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.server_address[1]
    over.set()
    server.shutdown()
    server.server_close()


@contextmanager
def http_server(answer: Callable[[BaseHTTPRequestHandler, int], Any]) -> Iterator[Received]:
    """An HTTP server whose POSTs are answered by `answer(handler, how many there were before)`."""
    got = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.requests.append((dict(self.headers), body))
            answer(self, len(got.requests) - 1)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at what was received."""

    socketserver.TCPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    got.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield got
    server.shutdown()
    server.server_close()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler, int], None]:
    """An answer with a status and headers."""

    def answer(handler: BaseHTTPRequestHandler, before: int) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def make_certificate(folder: Path) -> Path:
    """A certificate for localhost, signed by itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path

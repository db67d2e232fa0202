"""The web server: pages (Streamlit), the API and uploads (FastAPI) and chart files on one port, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from platform_core.errors import Problem
from platform_core.root import ROOT
from platform_core.settings import home_folder
from platform_core.workspace.page import PORT, announce
from platform_core.workspace.service import open_workspace


def serve(host: str = "127.0.0.1", port: int = PORT) -> int:
    """Serve the pages until interrupted; returns the exit code.

    Raises Problem when the workspace can't be used or the address is taken.
    """
    home = home_folder()
    os.environ["PLATFORM_HOME"] = str(home)  # absolute, since the next lines leave the folder we were started from
    open_workspace(home)
    listener = listen(host, port)
    port = listener.getsockname()[1]
    os.environ |= {"STREAMLIT_SERVER_ADDRESS": host, "STREAMLIT_SERVER_PORT": str(port)}
    os.chdir(ROOT)  # Streamlit looks for .streamlit/config.toml here
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if not is_loopback(host):
        print(
            f"Careful: everyone who can reach {host}:{port} can read the workspace and start jobs, since there is no "
            "login. Stay on 127.0.0.1 and use an SSH tunnel unless you trust the whole network.",
            file=sys.stderr,
        )
    run(listener, host, port, home)
    return 0


def run(listener: socket.socket, host: str, port: int, home: Path) -> None:
    """Run the server on a socket that listens already."""
    import uvicorn

    app = application(host)
    config = uvicorn.Config(
        app,
        ws_max_size=200 * 2**20,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    shown = f"[{host}]" if ":" in host else host
    announce(home, f"http://{shown}:{port}")
    print(f"lathe is at http://{shown}:{port}  (workspace {home}; Ctrl-C ends the page, jobs go on)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def application(host: str) -> Any:
    """The ASGI application; `host` is the address it is served at."""
    import pandas  # noqa: F401  the first visitor should not wait for these two
    import plotly.graph_objects
    import streamlit as st
    from starlette.middleware import Middleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    from app.api.routes import api
    from app.gate import Gate
    from app.page import script_error

    vendor = StaticFiles(directory=Path(plotly.__file__).parent / "package_data")
    return st.App(
        ROOT / "app" / "shell.py",
        lifespan=lifespan,
        routes=[Mount("/api", api), Mount("/vendor", vendor)],
        middleware=[Middleware(Gate, host=host)],
        on_script_error=script_error,
    )


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):  # Streamlit has just made them talk again
        logging.getLogger(name).setLevel(logging.WARNING)
    gc.collect()
    gc.freeze()  # Streamlit collects after reruns: over all imported modules that costs ten times the rerun itself
    from app.watch import watch_supervisor

    watch = asyncio.create_task(watch_supervisor(home_folder()))
    yield {}
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; raises Problem when the address can't be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Problem("{host} is no address of this machine: use 127.0.0.1 (HOST=…).", host=host) from error
    # the protocol is named, since asyncio sets TCP_NODELAY only then: 45 ms on every keep-alive request
    listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise Problem(
            "Port {port} of {host} can't be used: {reason}. "
            "Is lathe running already? Else choose another port (PORT=…).",
            port=port,
            host=host,
            reason=(error.strerror or str(error)).lower(),
        ) from error
    listener.set_inheritable(False)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

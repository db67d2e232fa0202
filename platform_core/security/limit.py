"""A limit on all of a talk with another machine, however slowly that goes on to answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer


@contextmanager
def limited(line: Callable[[], socket.socket | None], seconds: float) -> Iterator[Event]:
    """Cut the socket that `line` gives after `seconds`; the event says that it was. A line cut reads as one ended."""
    over = Event()

    def cut() -> None:
        over.set()
        with suppress(OSError):  # it may have ended by itself
            if (found := line()) is not None:
                found.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()

"""What comes into a job's log after its end was read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

from platform_core.jobs.logs import BLOCK, LONGEST, SEARCH_BYTES, shown


def new_lines(path: Path, offset: int, pause: Event, seconds: float) -> Iterator[str | None]:
    """Lines written after `offset` as they come; None, at least every `seconds`, when there is none for now."""
    rest = b""
    with path.open("rb") as log:
        log.seek(offset)
        while True:
            block = log.read(BLOCK)
            if not block:
                yield None
                pause.wait(seconds)
                continue
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > SEARCH_BYTES:
                rest = rest[:LONGEST]
            for line in lines:
                yield shown(line)

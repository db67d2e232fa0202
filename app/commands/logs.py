"""Reading a job's log: its last lines at once, however long it is, and what comes after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

from app.commands.printing import plain

BLOCK = 64 * 1024
LONGEST = 4096
FURTHEST = 64 * 2**20
"""Bytes of the end that are searched for lines, so that a line of gigabytes costs no memory."""


def last_lines(path: Path, wanted: int) -> tuple[list[str], int]:
    """The last `wanted` lines, harmless to print, and the byte after the last one read."""
    with path.open("rb") as log:
        end = at = log.seek(0, 2)
        blocks: list[bytes] = []
        seen = 0
        while at > max(0, end - FURTHEST) and seen <= wanted:
            start = max(0, at - BLOCK)
            log.seek(start)
            blocks.append(log.read(at - start))
            seen += blocks[-1].count(b"\n")
            at = start
    lines = b"".join(reversed(blocks)).split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return [harmless(line) for line in lines[-wanted:]] if wanted else [], end


def harmless(line: bytes) -> str:
    """One line for a terminal: the last of what was overwritten by carriage returns, control characters written out."""
    kept = line.rstrip(b"\r").rpartition(b"\r")[2]
    text = kept[: LONGEST * 4].decode("utf-8", "replace")
    return plain(text[:LONGEST] + ("…" if len(kept) > LONGEST * 4 or len(text) > LONGEST else ""), keep="\t")


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
            if len(rest) > FURTHEST:
                rest = rest[:LONGEST]
            for line in lines:
                yield harmless(line)

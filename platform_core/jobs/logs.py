"""The end of a job's log, filtered and searched, however long the log or one of its lines is.

The file is read backwards in blocks, so that memory is bounded by the lines that are kept, never by the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]

LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
BLOCK = 256 * 1024
LONGEST = 4096
"""Bytes of a line that are kept."""
TAIL_BYTES = 1024 * 1024
SEARCH_BYTES = 64 * 1024 * 1024
ORPHANS = 2000

ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
LOUD = re.compile(rb"WARN|ERROR|CRITICAL|FATAL|Warning: |Traceback")
LABEL = re.compile(r"(?:^|[\s\[|:,(-])(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)(?=$|[\s\]|:,)-])")
NAMED = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "WARN": 2, "ERROR": 3, "CRITICAL": 3, "FATAL": 3}
TRACEBACK = "Traceback (most recent call last)"
PYTHON_WARNING = re.compile(r"\w*Warning: ")
RAISED = re.compile(r"^[\w.]+(?:Error|Exception|Interrupt|Problem)\b")


@dataclass(frozen=True)
class Line:
    """One line as it can be shown: no control characters, of a progress bar only its last state."""

    text: str
    level: Level


@dataclass(frozen=True)
class Tail:
    """The newest lines that fit, oldest first.

    `size` is the file's length in bytes when it was read; `read_from` the byte from which on it was looked at, 0 when
    that is all of it; `complete` whether no older line would fit, too.
    """

    lines: list[Line]
    size: int
    read_from: int
    complete: bool


def tail(path: Path, lines: int = 500, level: Level = "debug", search: str = "", budget: int | None = None) -> Tail:
    """The last `lines` lines of at least `level` that hold `search` in any case, looked for in the last `budget` bytes.

    A line without a level has that of the line before it, so that a traceback stays with its error. Raises OSError.
    """
    wanted, needle = LEVELS.index(level), clean(search).casefold()
    filtered = bool(needle) or wanted > 0
    budget = (SEARCH_BYTES if filtered else TAIL_BYTES) if budget is None else budget
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        source = _Backwards(file.fileno(), size, budget, _may_hold(wanted, needle))
        found: list[Line] = []
        for line in _levelled(source.lines()) if lines else ():
            if LEVELS.index(line.level) >= wanted and needle in line.text.casefold():
                found.append(line)
                if len(found) >= lines:
                    break
    return Tail(found[::-1], size, source.at, source.at == 0 and len(found) < lines)


def clean(text: str) -> str:
    """Text fit to show: no ANSI codes, other control and bidi characters written out (`\\u202e`)."""
    if text.isprintable():
        return text
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), ANSI.sub("", text))


def shown(raw: bytes) -> str:
    """One line as text: the last of what carriage returns overwrote, at most `LONGEST` bytes of it."""
    kept = raw.rstrip(b"\r").rpartition(b"\r")[2]
    return clean(kept[:LONGEST].decode("utf-8", "replace")) + ("…" if len(kept) > LONGEST else "")


def _may_hold(wanted: int, needle: str) -> Callable[[bytes], bool]:
    """Whether a block can hold a line that is looked for, told from its bytes alone."""
    word = needle.encode()
    if word and needle.isprintable() and all(c.isascii() or c.upper() == c for c in needle):
        return lambda block: word in block.lower()
    return (lambda block: LOUD.search(block) is not None) if wanted >= LEVELS.index("warning") else lambda block: True


class _Backwards:
    """The lines of a file from its last to its first, in constant memory; `at` is the byte reached."""

    def __init__(self, file: int, size: int, budget: int, may_hold: Callable[[bytes], bool]) -> None:
        self.file, self.at, self.least, self.may_hold = file, size, max(0, size - budget), may_hold

    def lines(self) -> Iterator[str | None]:
        """Lines as they can be shown, newest first, too long ones cut; None stands for some that were passed over."""
        rest = _Rest()
        first = True
        while self.at > self.least:
            start = max(self.least, self.at - BLOCK)
            block = os.pread(self.file, self.at - start, start)
            pieces = block.split(b"\n")
            self.at = start
            last = pieces.pop()
            if not pieces:
                rest.prepend(last)
                first = first and not last
                continue
            rest.prepend(last)
            if not (first and rest.is_empty()):
                yield rest.text()
            first = False
            if self.may_hold(block):
                yield from map(shown, reversed(pieces[1:]))
            elif len(pieces) > 1:
                yield None
            rest = _Rest()
            rest.prepend(pieces[0])
        if not (first and rest.is_empty()):
            yield ("…" if self.at > 0 and not rest.overwritten else "") + rest.text()


class _Rest:
    """The later part of a line whose beginning is still to be read."""

    def __init__(self) -> None:
        self.kept, self.cut, self.overwritten = b"", False, False

    def prepend(self, part: bytes) -> None:
        """Put what stands before it in front; what a carriage return overwrote is dropped."""
        if self.overwritten:
            return
        joined = part + self.kept
        body = joined.rstrip(b"\r")
        if b"\r" in body:
            joined, self.overwritten = body.rpartition(b"\r")[2], True
        self.cut = self.cut or len(joined) > 2 * LONGEST
        self.kept = joined[: 2 * LONGEST]

    def is_empty(self) -> bool:
        return not self.kept

    def text(self) -> str:
        return shown(self.kept) + ("…" if self.cut and len(self.kept) <= LONGEST else "")


def _levelled(lines: Iterator[str | None]) -> Iterator[Line]:
    """Lines newest first with their levels; those without one wait for the line they belong to."""
    orphans: list[str] = []
    for text in lines:
        own = None if text is None else _level(text)
        if own is None and text is not None and len(orphans) < ORPHANS:
            orphans.append(text)
            continue
        yield from (Line(orphan, _level_of_orphan(orphan, own)) for orphan in orphans)
        orphans = []
        if text is not None:
            yield Line(text, own or "info")
    yield from (Line(orphan, _level_of_orphan(orphan, None)) for orphan in orphans)


def _level(text: str) -> Level | None:
    """The level that a line names itself; None for one that goes on with what was said before."""
    if text.startswith(TRACEBACK):
        return "error"
    label = LABEL.search(text[:100])
    if label is not None:
        return LEVELS[NAMED[label[1]]]
    return "warning" if PYTHON_WARNING.search(text[:300]) else None


def _level_of_orphan(text: str, before: Level | None) -> Level:
    if before is not None:
        return before
    return "error" if RAISED.match(text) else "info"

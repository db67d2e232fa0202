"""The lines of a job's log, read forwards or backwards in constant memory, fit to be shown, each with its level."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from platform_core.logs.file import LogFile

Level = Literal["debug", "info", "warning", "error"]

LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
BLOCK = 256 * 1024
LONGEST = 4096
"""Bytes of a line that are kept."""
ORPHANS = 2000

ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
LABEL = re.compile(r"(?:^|[\s\[|:,(-])(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)(?=$|[\s\]|:,)-])")
NAMED = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "WARN": 2, "ERROR": 3, "CRITICAL": 3, "FATAL": 3}
TRACEBACK = "Traceback (most recent call last)"
PYTHON_WARNING = re.compile(r"\w*Warning: ")
RAISED = re.compile(r"^[\w.]+(?:Error|Exception|Interrupt|Problem)\b")

MayHold = Callable[[bytes], bool]
"""Whether a block can hold a line that is looked for, told from its bytes alone."""


@dataclass(frozen=True)
class Raw:
    """A line before its level is known: it stands in the log from byte `at` to `end`."""

    text: str
    at: int
    end: int


@dataclass(frozen=True)
class Line:
    """One line as it can be shown: no control characters, of a progress bar only its last state.

    It stands in the log from byte `at` to `end`. `found`: from where to where in `text` the search fits. `context`:
    it is there only because it stands beside such a line. `gap`: lines between it and the one before are left out.
    """

    text: str
    level: Level
    at: int = 0
    end: int = 0
    found: tuple[int, int] | None = None
    context: bool = False
    gap: bool = False


def clean(text: str) -> str:
    """Text fit to show: no ANSI codes, other control and bidi characters written out (`\\u202e`)."""
    if text.isprintable():
        return text
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), ANSI.sub("", text))


def shown(raw: bytes) -> str:
    """One line as text: the last of what carriage returns overwrote, at most `LONGEST` bytes of it."""
    kept = raw.rstrip(b"\r").rpartition(b"\r")[2]
    return clean(kept[:LONGEST].decode("utf-8", "replace")) + ("…" if len(kept) > LONGEST else "")


class Backwards:
    """The lines before byte `end` from last to first; `at` is the byte reached, and may be moved on by the caller.

    Blocks that can't hold what is looked for are passed over, but for the `edge` lines at each of their ends.
    """

    def __init__(self, log: LogFile, end: int, budget: int, may_hold: MayHold, edge: int, over: Callable[[], bool]):
        self.log, self.at, self.least = log, end, max(0, end - budget)
        self.may_hold, self.edge, self.over = may_hold, edge, over

    def lines(self) -> Iterator[Raw | None]:
        """Lines as they can be shown, newest first, too long ones cut; None stands for some that were passed over."""
        rest, rest_end, first = _Rest(), self.at, True
        while self.at > self.least and not self.over():
            start = max(self.least, self.at - BLOCK)
            block = self.log.read(start, self.at - start)
            pieces = block.split(b"\n")
            at = self.at - len(pieces[-1])
            self.at = start
            rest.prepend(pieces.pop())
            if not pieces:
                first = first and rest.is_empty()
                continue
            if not (first and rest.is_empty()):
                yield Raw(rest.text(), at, rest_end)
            first = False
            yield from self._within(pieces[1:], at, self.may_hold(block))
            rest, rest_end = _Rest(), start + len(pieces[0]) + 1
            rest.prepend(pieces[0])
        if self.at > 0 and not first and rest_end - self.at <= BLOCK:
            self.at = rest_end  # its beginning was not read: whoever goes on from here reads all of it
        elif not (first and rest.is_empty()):
            yield Raw(("…" if self.at > 0 and not rest.overwritten else "") + rest.text(), self.at, rest_end)

    def _within(self, pieces: list[bytes], end: int, all_of_them: bool) -> Iterator[Raw | None]:
        last = len(pieces) - 1
        for place in range(last, -1, -1):
            at = end - len(pieces[place]) - 1
            if all_of_them or place < self.edge or place > last - self.edge:
                yield Raw(shown(pieces[place]), at, end)
            elif place == last - self.edge:
                yield None
            end = at


class Forwards:
    """The lines from byte `at` on, first to last; `at` is the byte reached."""

    def __init__(self, log: LogFile, at: int, budget: int, may_hold: MayHold, edge: int, over: Callable[[], bool]):
        self.log, self.at, self.most = log, at, min(log.size, at + budget)
        self.may_hold, self.edge, self.over = may_hold, edge, over

    def lines(self) -> Iterator[Raw | None]:
        """Lines as they can be shown, oldest first, too long ones cut; None stands for some that were passed over."""
        rest, begin = b"", self.at
        cut = False
        while self.at < self.most and not self.over():
            block = self.log.read(self.at, min(BLOCK, self.most - self.at))
            if not block:
                break
            pieces = block.split(b"\n")
            self.at += len(block)
            last = pieces.pop()
            if pieces:
                first = pieces[0] if not rest else rest if cut else rest + pieces[0]
                end = self.at - len(block) + len(pieces[0]) + 1
                yield Raw(shown(first), begin, end)
                yield from self._within(pieces[1:], end, self.may_hold(block))
                rest, begin, cut = b"", self.at - len(last), False
            rest = rest if cut else rest + last
            cut = cut or len(rest) > 2 * BLOCK
        if not rest:
            return
        if self.at >= self.log.size or cut:
            yield Raw(shown(rest), begin, self.at)
        else:
            self.at = begin

    def _within(self, pieces: list[bytes], at: int, all_of_them: bool) -> Iterator[Raw | None]:
        last = len(pieces) - 1
        for place, piece in enumerate(pieces):
            end = at + len(piece) + 1
            if all_of_them or place < self.edge or place > last - self.edge:
                yield Raw(shown(piece), at, end)
            elif place == self.edge:
                yield None
            at = end


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


def levelled_backwards(lines: Iterator[Raw | None]) -> Iterator[Line | None]:
    """Lines newest first with their levels; those without one wait for the line they belong to."""
    orphans: list[Raw] = []
    for raw in lines:
        own = None if raw is None else level_of(raw.text)
        if own is None and raw is not None and len(orphans) < ORPHANS:
            orphans.append(raw)
            continue
        yield from (_line(orphan, _level_of_orphan(orphan.text, own)) for orphan in orphans)
        orphans = []
        yield None if raw is None else _line(raw, own or "info")
    yield from (_line(orphan, _level_of_orphan(orphan.text, None)) for orphan in orphans)


def levelled_forwards(lines: Iterator[Raw | None]) -> Iterator[Line | None]:
    """Lines oldest first with their levels; one without has that of the line before it."""
    before: Level | None = None
    for raw in lines:
        if raw is None:
            before = None
            yield None
            continue
        own = level_of(raw.text)
        before = own or before
        yield _line(raw, own or _level_of_orphan(raw.text, before))


def level_of(text: str) -> Level | None:
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


def _line(raw: Raw, level: Level) -> Line:
    return Line(raw.text, level, raw.at, raw.end)

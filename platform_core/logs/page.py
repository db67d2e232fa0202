"""A part of a job's log for a page: its end, or what stands before or after a byte; filtered and searched.

The file is read in blocks, so that memory is bounded by the lines that are kept, never by the file; time by a limit,
after which what was found so far is given, and from where to go on.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import regex

from platform_core.clock import monotonic
from platform_core.errors import Problem
from platform_core.logs.file import LogFile
from platform_core.logs.lines import (
    BLOCK,
    LEVELS,
    Backwards,
    Forwards,
    Level,
    Line,
    MayHold,
    clean,
    levelled_backwards,
    levelled_forwards,
)

TAIL_BYTES = 1024 * 1024
SEARCH_BYTES = 64 * 1024 * 1024
LONGEST_PATTERN = 500
LOOK_AT_CLOCK = 64
LOUD = re.compile(rb"WARN|ERROR|CRITICAL|FATAL|Warning: |Traceback")


@dataclass(frozen=True)
class Query:
    """Which lines are wanted: of at least a level, with a text or a regular expression in any case; lines beside."""

    level: Level = "debug"
    search: str = ""
    regex: bool = False
    context: int = 0

    def filters(self) -> bool:
        """Whether it leaves any line out."""
        return bool(self.search) or self.level != "debug"


@dataclass(frozen=True)
class Tail:
    """The lines that fit, oldest first.

    `size` is the log's length in bytes when it was read; `read_from` and `read_to` the bytes between which it was
    looked at; `complete` whether that is all of it and no line was left out for their number. `late`: the search took
    so long at one line that it was given up there.
    """

    lines: list[Line]
    size: int
    read_from: int
    complete: bool
    read_to: int = 0
    late: bool = False


def tail(
    path: Path,
    lines: int = 500,
    level: Level = "debug",
    search: str = "",
    budget: int | None = None,
    *,
    regex: bool = False,
    context: int = 0,
    before: int | None = None,
    seconds: float = 60.0,
) -> Tail:
    """The last `lines` lines before byte `before` (default: the end) that fit, from the last `budget` bytes before it.

    They are of at least `level` and hold `search` in any case, or as a regular expression. A line without a level has
    that of the line before it, so that a traceback stays with its error. Raises OSError, and Problem when `search` is
    no regular expression.
    """
    query = Query(level, search, regex, context)
    with LogFile(path) as log:
        end = log.size if before is None else min(max(before, 0), log.size)
        limit = _Limit(query, seconds)
        source = Backwards(log, end, _budget(query, budget), limit.may_hold, context, limit.over)
        found, full = _collect(levelled_backwards(source.lines()), limit, lines, context) if lines else ([], True)
        read_from = source.at
        if full:
            read_from = min((line.at for line in found), default=end)
        elif limit.left_off is not None:
            read_from = limit.left_off.at if limit.late else limit.left_off.end
        complete = read_from == 0 and end == log.size and not full
        return Tail(_with_gaps(found[::-1]), log.size, read_from, complete, end, limit.late)


def ahead(path: Path, start: int, lines: int, query: Query, budget: int | None = None, seconds: float = 60.0) -> Tail:
    """The first `lines` lines from byte `start` on that fit, from the `budget` bytes behind it; raises as `tail`."""
    with LogFile(path) as log:
        limit = _Limit(query, seconds)
        begin = _line_begin(log, min(max(start, 0), log.size))
        source = Forwards(log, begin, _budget(query, budget), limit.may_hold, query.context, limit.over)
        found, full = _collect(levelled_forwards(source.lines()), limit, lines, query.context)
        read_to = source.at
        if full:
            read_to = max((line.end for line in found), default=begin)
        elif limit.left_off is not None:
            read_to = limit.left_off.end if limit.late else limit.left_off.at
        complete = begin == 0 and read_to >= log.size and not full
        return Tail(_with_gaps(found), log.size, begin, complete, read_to, limit.late)


def fits(line: Line, query: Query) -> bool:
    """Whether one line is wanted; one at which the search takes over a second is not."""
    try:
        return _Limit(query, 1.0).passes(line) is not None
    except TimeoutError:
        return False


def _budget(query: Query, asked: int | None) -> int:
    if asked is not None:
        return asked
    return SEARCH_BYTES if query.filters() else TAIL_BYTES


def _line_begin(log: LogFile, at: int) -> int:
    """The beginning of the line that byte `at` is in; of a very long line, `at` itself."""
    before = log.read(max(0, at - BLOCK), min(at, BLOCK))
    newline = before.rfind(b"\n")
    if newline < 0:
        return at if at > BLOCK else 0
    return at - len(before) + newline + 1


class _Limit:
    """What a query lets through, within its time; `left_off`: the line where that was over, `late` if for it alone."""

    def __init__(self, query: Query, seconds: float) -> None:
        self.wanted = LEVELS.index(query.level)
        self.pattern = _compiled(query.search, query.regex) if query.search else None
        self.may_hold: MayHold = _may_hold(self.wanted, query)
        self.deadline = monotonic() + seconds
        self.left_off: Line | None = None
        self.late = False

    def over(self) -> bool:
        return monotonic() > self.deadline

    def passes(self, line: Line) -> Line | None:
        """The line, marked where the search fits; None when it is not wanted. Raises TimeoutError."""
        if LEVELS.index(line.level) < self.wanted:
            return None
        if self.pattern is None:
            return line
        found = self.pattern.search(line.text, timeout=max(0.001, self.deadline - monotonic()), concurrent=True)
        return None if found is None else replace(line, found=found.span())


def _collect(source: Iterator[Line | None], limit: _Limit, lines: int, context: int) -> tuple[list[Line], bool]:
    """Lines that pass, with those beside them, in the order of `source`; whether there were enough of them."""
    found: list[Line] = []
    recent: deque[Line] = deque(maxlen=context)
    owed = count = 0
    for number, line in enumerate(source):
        if line is None:
            recent.clear()
            owed = 0
            continue
        if count >= lines and not owed:
            return found, True
        if number % LOOK_AT_CLOCK == LOOK_AT_CLOCK - 1 and limit.over():
            limit.left_off = line
            return found, False
        try:
            passed = limit.passes(line) if count < lines else None
        except TimeoutError:
            limit.left_off, limit.late = line, True
            return found, False
        if passed is not None:
            found += [*recent, passed]
            recent.clear()
            owed, count = context, count + 1
        elif owed:
            found.append(replace(line, context=True))
            owed -= 1
        else:
            recent.append(replace(line, context=True))
    return found, count >= lines


def _with_gaps(lines: list[Line]) -> list[Line]:
    begun = {after.at for before, after in pairwise(lines) if after.at > before.end}
    return [replace(line, gap=True) if line.at in begun else line for line in lines]


def _may_hold(wanted: int, query: Query) -> Callable[[bytes], bool]:
    needle = "" if query.regex else clean(query.search).casefold()
    word = needle.encode()
    if word and needle.isprintable() and all(c.isascii() or c.upper() == c for c in needle):
        return lambda block: word in block.lower()
    return (lambda block: LOUD.search(block) is not None) if wanted >= LEVELS.index("warning") else lambda block: True


@lru_cache(maxsize=64)
def _compiled(search: str, is_regex: bool) -> Any:
    """`search` as a pattern whose every match can be given a time limit, which Python's own `re` has not."""
    if len(search) > LONGEST_PATTERN:
        raise Problem(
            "The search has {n} characters: at most {most} are searched for.", n=len(search), most=LONGEST_PATTERN
        )
    try:
        pattern = search if is_regex else regex.escape(clean(search))
        return regex.compile(pattern, regex.IGNORECASE if is_regex else regex.IGNORECASE | regex.FULLCASE)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise Problem(
            "“{search}” is no regular expression ({reason}): mend it, or turn the regular expression off.",
            search=search,
            reason=str(error) or type(error).__name__,
        ) from error

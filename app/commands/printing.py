"""What the command line prints: tables that fit, readable numbers, harmless text, colour only on a terminal."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from platform_core import durations

STATE_COLOURS = {
    "pending": 90, "queued": 90, "starting": 34, "running": 34, "pausing": 33, "paused": 33, "stopping": 33,
    "stopped": 90, "completed": 32, "failed": 31, "ok": 32, "warning": 33, "problem": 31,
}  # fmt: skip
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
JOINERS = "\u200d\ufe0f"


def show(text: str = "", err: bool = False) -> None:
    """Print one line at once, so that a reader behind a pipe sees it."""
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def program() -> str:
    """What to type for `lathe` here: the name alone where the PATH has it, else the way in which it was called."""
    called = Path(sys.argv[0])
    return "lathe" if called.name != "lathe" or shutil.which("lathe") else shlex.quote(str(called))


def show_json(value: object) -> None:
    """Print a value as JSON, everything but ASCII escaped, so that no terminal can be steered by a name in it."""
    show(json.dumps(value, indent=1, default=str))


def plain(text: object, keep: str = "") -> str:
    """Text with control, bidi and surrogate characters written out (`\\x1b`), except those in `keep`."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in keep or c in JOINERS or unicodedata.category(c) not in HIDDEN else _escaped(c) for c in text
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person watches: the stream is a terminal that can move its cursor."""
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: int | None) -> str:
    """Text in an ANSI colour, where the output is a terminal and NO_COLOR is not set."""
    if colour is None or os.environ.get("NO_COLOR") or not is_terminal():
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 or c in JOINERS for c in text)


def cut(text: str, limit: int) -> str:
    """Text of at most `limit` columns, with … where something was left out."""
    if width(text) <= limit:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > limit - 1:
            break
        kept += char
    return kept + "…"


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], columns: int | None = None) -> list[str]:
    """Lines of a table: numbers right, states coloured; to fit `columns`, wide ones are cut and last ones left out.

    `columns` is the terminal's width by default, and unlimited where there is no terminal.
    """
    cells = [[plain("" if v is None else v) for v in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]
    sizes = [max([width(head), *(width(row[i]) for row in cells)]) for i, head in enumerate(headers)]
    if columns is None and is_terminal():
        columns = shutil.get_terminal_size().columns
    if columns is not None:
        sizes = _fit(sizes, columns)
    lines = [_line(row, sizes, right).rstrip() for row in (headers, *cells)]
    return [paint(lines[0], 1), *lines[1:]]


def _fit(sizes: list[int], columns: int) -> list[int]:
    """Widths that fit, for as many columns as do; the first one, which names the row, is cut last."""
    least = [min(sizes[0], 24), *(min(size, 10) for size in sizes[1:])]
    kept = next((n for n in range(len(sizes), 2, -1) if sum(least[:n]) + 2 * (n - 1) <= columns), min(2, len(sizes)))
    fitted, room = sizes[:kept], columns - 2 * (kept - 1)
    while sum(fitted) > room and any(size > low for size, low in zip(fitted, least, strict=False)):
        widest = max(range(kept), key=lambda i: fitted[i] - least[i])
        fitted[widest] -= 1
    return fitted


def _line(cells: Sequence[str], sizes: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, size, to_right in zip(cells, sizes, right, strict=False):
        shown = cut(cell, size)
        space = " " * (size - width(shown))
        parts.append(space + shown if to_right else paint(shown, STATE_COLOURS.get(shown)) + space)
    return "  ".join(parts)


def duration(seconds: float | None) -> str:
    """ "12 s", "3 min 05 s", "1 h 04 min", "2 d 3 h"; empty when not known."""
    return "" if seconds is None else str(durations.exact(seconds))


def ago(seconds: float) -> str:
    """ "just now", "3 min ago"."""
    return str(durations.ago(seconds))


def significant(number: object, digits: int = 4) -> str:
    """A metric's value in `digits` significant digits."""
    return f"{number:.{digits}g}" if isinstance(number, int | float) and not isinstance(number, bool) else plain(number)

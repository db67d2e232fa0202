"""Which encoding a text file has, and its lines as bytes with true offsets."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from platform_core.datasets.containers import BLOCK, Stream
from platform_core.errors import Text, text

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
NEWLINES = {"utf-16-le": b"\n\0", "utf-16-be": b"\0\n"}


class Line(NamedTuple):
    """A line without its newline; `raw` is None when it was longer than the limit, `ended` False when the file stops
    in it."""

    number: int
    offset: int
    raw: bytes | None
    size: int
    ended: bool


def detect_encoding(head: bytes) -> tuple[str, int]:
    """(encoding, length of the byte order mark): mark, then pattern of zero bytes, then UTF-8, GB18030,
    Windows-1252."""
    for bom, name in BOMS:
        if head.startswith(bom):
            return name, len(bom)
    even, odd = head[0:4000:2].count(0), head[1:4000:2].count(0)
    pairs = min(len(head), 4000) // 2
    if odd > pairs // 10 and even < odd // 10 + 1:
        return "utf-16-le", 0
    if even > pairs // 10 and odd < even // 10 + 1:
        return "utf-16-be", 0
    return _eight_bit(head), 0


def _eight_bit(head: bytes) -> str:
    if _decodes(head, "utf-8"):
        return "utf-8"
    foreign = [line for line in head.split(b"\n")[:5000] if not line.isascii()]
    broken = sum(not _decodes(line, "utf-8") for line in foreign)
    # A few bad bytes in a UTF-8 (or ASCII) file are bad rows, not another encoding
    if broken <= len(foreign) // 2 or broken * 20 <= min(head.count(b"\n"), 5000):
        return "utf-8"
    if _decodes(head, "gb18030") and _reads_as_chinese(head.decode("gb18030", "replace")):
        return "gb18030"
    return "cp1252" if _decodes(head, "cp1252") and b"\0" not in head else "utf-8"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _reads_as_chinese(text: str) -> bool:
    """Chinese comes in runs; Western accents misread as GB18030 stand alone between Latin letters."""
    letters = [i for i, c in enumerate(text) if c >= "\u0080"]
    if not letters:
        return False
    places = set(letters)
    runs = sum(i + 1 in places or i - 1 in places for i in letters)
    common = sum(
        "\u3000" <= text[i] <= "\u9fff" or "\uff00" <= text[i] <= "\uffef" or "\u2010" <= text[i] <= "\u2030"
        for i in letters
    )
    return runs * 2 >= len(letters) and common * 10 >= len(letters) * 8


def undecodable(encoding: str, error: UnicodeDecodeError) -> Text:
    """Why the bytes of a row are no text; the phrase follows “Row 12”."""
    return text("is not {encoding} at byte {byte} of the row", encoding=encoding.upper(), byte=error.start + 1)


def lines(stream: Stream, encoding: str, line_bytes: int, number: int = 1) -> Iterator[Line]:
    """Lines from the stream's position on; a line over `line_bytes` is passed by without being held in memory."""
    newline = NEWLINES.get(encoding, b"\n")
    width = len(newline)
    base, skipped, buffer = stream.position, 0, b""
    while True:
        block = stream.read(BLOCK)
        buffer = buffer + block if buffer else block
        start = 0
        while True:
            end = buffer.find(newline, start)
            while width == 2 and end >= 0 and (end - start) % 2:
                end = buffer.find(newline, end + 1)
            if end < 0:
                break
            if skipped:
                yield Line(number, base - skipped, None, skipped + end - start, True)
                skipped = 0
            elif end - start > line_bytes:
                yield Line(number, base + start, None, end - start, True)
            else:
                yield Line(number, base + start, buffer[start:end], end - start, True)
            number += 1
            start = end + width
        base += start
        buffer = buffer[start:]
        if not block:
            break
        if skipped or len(buffer) > line_bytes:
            whole = len(buffer) - len(buffer) % width
            skipped, base, buffer = skipped + whole, base + whole, buffer[whole:]
    if skipped:
        yield Line(number, base - skipped, None, skipped + len(buffer), False)
    elif buffer:
        yield Line(number, base, buffer, len(buffer), False)

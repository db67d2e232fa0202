"""CSV and TSV rows: all values stay text (00123 is not 123); a stray quote costs one row, not the rest of the file."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from platform_core.datasets.containers import Stream
from platform_core.datasets.encodings import lines, undecodable
from platform_core.datasets.json_rows import too_long
from platform_core.datasets.rows import FileFacts, Limits, Problems, Row
from platform_core.errors import Text, text

RESYNCS = 100
RECORD_LINES = 10_000
OPEN_QUOTE = "opens a quote that never closes, or that swallows the rows after it"
NUMBER = re.compile(r"^[-+]?[\d.,]+([eE][-+]?\d+)?%?$")
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")
DELIMITERS = (",", "\t", ";", "|")
SAMPLE_RECORDS = 50


@dataclass
class Record:
    """Cells of one record that starts at byte `offset`, or why it has none."""

    offset: int
    cells: list[str]
    reason: Text | None = None


def csv_rows(stream: Stream, facts: FileFacts, problems: Problems, limits: Limits, number: int) -> Iterator[Row]:
    """Rows named by `facts.columns`; the number is that of the record, the header not counted."""
    width = len(facts.columns)
    skip_header = facts.has_header and stream.position == facts.bom
    for record in records(stream, facts, limits):
        if skip_header:
            skip_header = False
            continue
        reason = record.reason
        if reason is None and len(record.cells) != width:
            reason = text("has {n} cells, but there are {columns} columns", n=len(record.cells), columns=width)
        if reason is None:
            yield Row(number, record.offset, dict(zip(facts.columns, record.cells, strict=True)), facts.name)
        else:
            problems.add(number, record.offset, reason, facts.name)
        number += 1


def records(stream: Stream, facts: FileFacts, limits: Limits) -> Iterator[Record]:
    """Records, over several lines where a quote is open.

    A record that closes nowhere, or closes with the wrong number of cells, gives back all its lines but the first:
    RESYNCS times and RECORD_LINES lines at most, so that hostile files stay cheap.
    """
    csv.field_size_limit(max(csv.field_size_limit(), limits.line_bytes))
    source = _decoded(stream, facts, limits)
    pending: deque[Record] = deque()
    width, resyncs = len(facts.columns), RESYNCS
    while (head := pending.popleft() if pending else next(source, None)) is not None:
        line = head.cells[0] if head.cells else ""
        if head.reason is not None:
            yield head
        elif '"' not in line:
            if line.strip():
                yield Record(head.offset, line.split(facts.delimiter))
        else:
            record, pulled = _quoted(head, pending, source, facts.delimiter, limits)
            wrong = record.reason is not None or (width > 0 and len(record.cells) != width)
            if wrong and len(pulled) > 1 and resyncs > 0:
                resyncs -= 1
                pending.extendleft(reversed(pulled[1:]))
                record = Record(head.offset, [], text(OPEN_QUOTE))
            yield record


def _quoted(
    head: Record, pending: deque[Record], source: Iterator[Record], delimiter: str, limits: Limits
) -> tuple[Record, list[Record]]:
    pulled: list[Record] = []

    def feed() -> Iterator[str]:
        size, item = 0, head
        while True:
            pulled.append(item)
            size += len(item.cells[0]) if item.cells else 0
            if size > limits.line_bytes or len(pulled) > RECORD_LINES or item.reason is not None:
                return
            yield item.cells[0] + "\n"
            following = pending.popleft() if pending else next(source, None)
            if following is None:
                return
            item = following

    try:
        cells = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return Record(head.offset, [], text(OPEN_QUOTE)), pulled
        return Record(head.offset, [], text("has a quote in a wrong place ({detail})", detail=str(error))), pulled
    return Record(head.offset, cells), pulled


def _decoded(stream: Stream, facts: FileFacts, limits: Limits) -> Iterator[Record]:
    """Lines as one-cell records."""
    for line in lines(stream, facts.encoding, limits.line_bytes):
        if line.raw is None:
            yield Record(line.offset, [], too_long(line.size, limits))
            continue
        try:
            content = line.raw.decode(facts.encoding).removesuffix("\r")
        except UnicodeDecodeError as error:
            yield Record(line.offset, [], undecodable(facts.encoding, error))
            continue
        if "\0" in content:
            yield Record(line.offset, [], text("holds a NUL character"))
        else:
            yield Record(line.offset, [content])


def sniff_table(head: str, facts: FileFacts, known_fields: frozenset[str]) -> None:
    """Fill in delimiter, columns and header of `facts` from the first lines of the file."""
    whole = head.rsplit("\n", 1)[0] if len(head) > 100_000 else head
    samples = {d: _sample(whole, d) for d in ([facts.delimiter] if facts.delimiter == "\t" else DELIMITERS)}
    best = max(samples, key=lambda d: _steadiness(samples[d]))
    if _steadiness(samples[best]) <= 0:
        best = facts.delimiter
    if best != facts.delimiter:
        facts.notes.append(text("Cells are separated by “{delimiter}”.", delimiter="tab" if best == "\t" else best))
    facts.delimiter = best
    table = samples[best]
    first = [cell.strip() for cell in table[0]] if table else []
    facts.has_header = looks_like_header(first, table[1:], known_fields)
    if facts.has_header:
        facts.columns = _unique(first, facts)
    else:
        facts.columns = [f"column_{i}" for i in range(1, len(first) + 1)]
        facts.notes.append(
            text(
                "The first row of {file} looks like data, so the columns are named {columns}. Put a line "
                "with names such as `prompt,response` above it.",
                file=facts.name,
                columns=", ".join(f"`{c}`" for c in facts.columns[:4]),
            )
        )


def _sample(head: str, delimiter: str) -> list[list[str]]:
    found: list[list[str]] = []
    try:
        for cells in csv.reader((line + "\n" for line in head.splitlines()), delimiter=delimiter):
            if any(cell.strip() for cell in cells):
                found.append(cells)
            if len(found) >= SAMPLE_RECORDS:
                break
    except csv.Error:
        pass
    return found


def _steadiness(table: list[list[str]]) -> float:
    """How far a delimiter cuts all records into the same number (> 1) of cells as the first one."""
    if not table or len(table[0]) < 2:
        return 0.0
    return sum(len(cells) == len(table[0]) for cells in table) / len(table) + 0.001 * (len(table) > 1)


def looks_like_header(first: list[str], body: list[list[str]], known_fields: frozenset[str]) -> bool:
    """Names, not data: no number, nothing long, no sentence, no value that comes again below."""
    if any(cell.lower() in known_fields for cell in first):
        return True
    if any(NUMBER.match(cell) or len(cell) > 60 or "\n" in cell or cell.endswith(SENTENCE_ENDS) for cell in first):
        return False
    return not any(
        cell and any(i < len(row) and row[i].strip() == cell for row in body) for i, cell in enumerate(first)
    )


def _unique(names: list[str], facts: FileFacts) -> list[str]:
    found: list[str] = []
    for i, name in enumerate(names, start=1):
        wanted = name or f"column_{i}"
        if wanted in found:
            facts.notes.append(
                text(
                    "Two columns are named `{column}`; the later one is read as `{other}`.",
                    column=wanted,
                    other=f"{wanted}_{i}",
                )
            )
            wanted = f"{wanted}_{i}"
        found.append(wanted)
    return found

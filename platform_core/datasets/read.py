"""Bytes to rows: any data file or folder of data files, read by its content and one row at a time.

`rows(path)` gives the rows; what was wrong with the others is in its `problems`, what was found out in its `files`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType

from platform_core.datasets.containers import (
    HEAD_BYTES,
    Member,
    Stream,
    is_data_name,
    open_members,
    plain_name,
    refuse_foreign,
)
from platform_core.datasets.csv_rows import csv_rows, sniff_table
from platform_core.datasets.encodings import detect_encoding, lines, undecodable
from platform_core.datasets.formats import FIELD_NAMES
from platform_core.datasets.json_rows import BrokenRow, json_lines, json_values, parse_line, too_long
from platform_core.datasets.parquet_rows import parquet_rows
from platform_core.datasets.rows import LIMITS, FileFacts, Limits, Problems, Row, Start
from platform_core.errors import Problem, text

SUFFIX_KINDS = {
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
}


class Rows(Iterator[Row]):
    """An iterator of rows that remembers problems and facts; close it (or use `with`) when you stop early."""

    def __init__(self, path: Path, start: Start | None = None, limits: Limits = LIMITS) -> None:
        self.path, self.limits = path, limits
        self.problems = Problems()
        self.files: list[FileFacts] = []
        self.stream: Stream | None = None
        self._rows = self._read(start)

    def __next__(self) -> Row:
        return next(self._rows)

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._rows.close()

    def _read(self, start: Start | None) -> Generator[Row, None, None]:
        for path, label in data_files(self.path):
            if start is not None and start.file != label and not start.file.startswith(label + "/"):
                continue
            if _is_parquet(path):
                yield from self._parquet(path, label, start)
                start = None
                continue
            for member in open_members(path, label, self.limits):
                if start is not None and start.file != member.name:
                    continue
                yield from self._member(member, start)
                start = None

    def _parquet(self, path: Path, label: str, start: Start | None) -> Iterator[Row]:
        facts = FileFacts(label, "plain", "parquet")
        if not label.lower().endswith(".parquet"):
            facts.notes.append(text("{file} holds Parquet, whatever its name says, and is read as that.", file=label))
        self.files.append(facts)
        yield from parquet_rows(path, facts, self.problems, self.limits, start.number if start else 1)

    def _member(self, member: Member, start: Start | None) -> Iterator[Row]:
        stream = self.stream = member.stream
        facts = sniff(member)
        self.files.append(facts)
        stream.skip_to(start.offset if start else facts.bom)
        number = start.number if start else 1
        reader = {"csv": csv_rows, "json_lines": json_lines, "text": text_rows}.get(facts.kind, json_values)
        last = number
        for row in reader(stream, facts, self.problems, self.limits, number):
            last = row.number
            yield row
        if stream.damage is not None:
            reason = text(
                "and what comes after it are lost: the file is damaged from here on ({detail})", detail=stream.damage
            )
            self.problems.add(last + 1, stream.position, reason, facts.name)


def rows(path: Path, start: Start | None = None, limits: Limits = LIMITS) -> Rows:
    """Rows of a file, or of all data files in a folder. Raises Problem where the whole file can't be read."""
    return Rows(path, start, limits)


def data_files(path: Path) -> list[tuple[Path, str]]:
    """(file, label) of each data file: the file itself, or those of a folder by name, hidden ones left out."""
    if not path.is_dir():
        return [(path, path.name)]
    found = sorted(
        p for p in path.rglob("*") if is_data_name(p.name) and p.is_file() and not _is_hidden_or_link(p, path)
    )
    if not found:
        raise Problem(
            "{folder} holds no data file: add JSONL, JSON, CSV, TSV, TXT or Parquet files to it.", folder=path.name
        )
    return [(p, p.relative_to(path).as_posix()) for p in found]


def _is_hidden_or_link(path: Path, top: Path) -> bool:
    """Links are left out because they may point outside the workspace."""
    parts = path.relative_to(top).parts
    return any(part.startswith(".") for part in parts) or any(
        (top.joinpath(*parts[: i + 1])).is_symlink() for i in range(len(parts))
    )


def text_rows(stream: Stream, facts: FileFacts, problems: Problems, limits: Limits, number: int) -> Iterator[Row]:
    """One text a line, as `{"text": …}`; blank lines count but give no row."""
    for line in lines(stream, facts.encoding, limits.line_bytes, number):
        if line.raw is None:
            problems.add(line.number, line.offset, too_long(line.size, limits), facts.name)
            continue
        try:
            content = line.raw.decode(facts.encoding).removesuffix("\r")
        except UnicodeDecodeError as error:
            problems.add(line.number, line.offset, undecodable(facts.encoding, error), facts.name)
            continue
        if content.strip():
            yield Row(line.number, line.offset, {"text": content}, facts.name)


def sniff(member: Member) -> FileFacts:
    """What the first megabyte says about a file. Raises Problem when it holds no rows."""
    head = member.stream.head()
    facts = FileFacts(member.name, member.container)
    if not head and member.stream.damage is not None:
        raise Problem(
            "{file} is damaged before its first row ({reason}): pack or upload it again.",
            file=member.name,
            reason=member.stream.damage,
        )
    if not head:
        raise Problem("{file} is empty: it has no bytes at all. Was the upload or export cut short?", file=member.name)
    refuse_foreign(head[:16], member.name)
    if head[:4] in (b"PAR1", b"\x1f\x8b\x08\x00", b"PK\x03\x04"):
        raise Problem(
            "{file} is packed twice or holds Parquet inside an archive: unpack it and add the inner file.",
            file=member.name,
        )
    facts.encoding, facts.bom = detect_encoding(head)
    if facts.encoding.startswith("utf-32"):
        raise Problem("{file} is written in UTF-32, which hardly any tool reads: save it as UTF-8.", file=member.name)
    _refuse_binary(head, facts)
    content = head[facts.bom :].decode(facts.encoding, "replace")
    if not content.strip("\ufeff \t\r\n\0"):
        if len(head) < HEAD_BYTES:
            raise Problem("{file} holds only blank lines: there is no row in it.", file=member.name)
        content = ""
    _decide_kind(content, facts)
    return facts


def _refuse_binary(head: bytes, facts: FileFacts) -> None:
    sample = head[:100_000]
    control = sum(sample.count(bytes([c])) for c in (*range(9), *range(14, 27), *range(28, 32)))
    if not facts.encoding.startswith("utf-16") and control > 20 and control * 20 > len(sample):
        raise Problem(
            "{file} is not text but binary data of a kind that is not known here: export the data as JSONL, CSV or "
            "Parquet.",
            file=facts.name,
        )


def _decide_kind(content: str, facts: FileFacts) -> None:
    """Set `kind` (and the table facts) from name and content; where they disagree, content wins and a note says so."""
    low = plain_name(facts.name)
    named = next((kind for suffix, kind in SUFFIX_KINDS.items() if low.endswith(suffix)), "")
    found = _json_kind(content)
    if not found and named in ("json", "json_lines"):
        first_line = content.strip().split("\n", 1)[0][:60]
        raise Problem(
            "{file} is not JSON: it starts with “{start}”. If it holds plain text, name it .txt; if a table, .csv or "
            ".tsv.",
            file=facts.name,
            start=first_line,
        )
    if found == "json_array" and named == "csv" and not content.lstrip()[1:].lstrip().startswith("{"):
        found = ""
    facts.kind = found if found and (named != "text" or found == "json_lines") else named or "text"
    if facts.kind == "csv":
        facts.delimiter = "\t" if low.endswith(".tsv") else ","
        sniff_table(content, facts, FIELD_NAMES)
    elif found and named in ("csv", "text"):
        facts.notes.append(text("{file} holds JSON, whatever its name says, and is read as that.", file=facts.name))


def _json_kind(content: str) -> str:
    """json_lines, json_array or json_object; empty when the text does not look like JSON."""
    start = content.lstrip("\ufeff \t\r\n\0")
    some = [line.rstrip("\r") for line in content.split("\n")[:200] if line.strip()]
    if any(_is_object(line) for line in some):
        return "json_lines"
    if start.startswith("["):
        return "json_array"
    if start.startswith("{"):
        # A first line that stops after a comma or bracket is the top of one object printed over several lines
        return "json_object" if len(some) > 1 and some[0].rstrip().endswith(("{", "[", ",")) else "json_lines"
    return "json_lines" if sum(line.startswith("{") for line in some) * 2 > len(some) else ""


def _is_object(line: str) -> bool:
    """Whether a line is an object by itself; indented lines may be parts of a larger value."""
    if not line.startswith("{"):
        return False
    try:
        parse_line(line.encode("utf-8", "surrogatepass"), "utf-8")
    except BrokenRow:
        return False
    return True


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False

"""JSON rows that hide nothing: duplicate keys, NaN, lone surrogates and broken places become problems of their row."""

from __future__ import annotations

import codecs
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import orjson

from platform_core.datasets.containers import BLOCK, Stream
from platform_core.datasets.encodings import lines, undecodable
from platform_core.datasets.rows import MEGABYTE, FileFacts, Limits, Problems, Row
from platform_core.errors import Text, text

NOT_OBJECT = "is of type `{kind}`, but a row must be an object with named fields"
TOO_LONG = "is {megabytes} MiB long; rows over {most} MiB are skipped"
KINDS = {
    dict: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


class BrokenRow(ValueError):
    """A row that is not what it should be; `reason` says how."""

    def __init__(self, reason: Text) -> None:
        self.reason = reason
        super().__init__(str(reason))


def too_long(size: int, limits: Limits) -> Text:
    return text(
        TOO_LONG,
        megabytes=round(size / MEGABYTE, 1),
        most=limits.line_bytes // MEGABYTE or round(limits.line_bytes / MEGABYTE, 2),
    )


def json_lines(stream: Stream, facts: FileFacts, problems: Problems, limits: Limits, number: int) -> Iterator[Row]:
    """One object a line. Blank lines count as lines, so that a number is the line that an editor shows."""
    for line in lines(stream, facts.encoding, limits.line_bytes, number):
        if line.raw is None:
            problems.add(line.number, line.offset, too_long(line.size, limits), facts.name)
            continue
        if not line.raw.strip(b" \t\r\n\0"):
            continue
        try:
            value = parse_line(line.raw, facts.encoding)
        except BrokenRow as error:
            cut = not line.ended and error.reason.template == NOT_JSON
            reason = text("is cut off in the middle: the file ends before the row does") if cut else error.reason
            problems.add(line.number, line.offset, reason, facts.name)
        else:
            yield Row(line.number, line.offset, value, facts.name)


NOT_JSON = "is not JSON at character {column}: {detail}"


def parse_line(raw: bytes, encoding: str) -> dict[str, Any]:
    """The object in a line; raises BrokenRow. The fast parser is believed only where it can't have hidden anything."""
    if encoding != "utf-8":
        raw = _decode(raw, encoding).encode("utf-8", "surrogatepass")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    else:
        # Each key has its own `":`; fewer keys than that (or a colon set apart) may hide a duplicate
        if (
            type(value) is dict
            and raw.count(b'":') == _keys(value)
            and b" :" not in raw
            and b"\t:" not in raw
            and b"\r:" not in raw
        ):
            return value
    return parse_strictly(_decode(raw, "utf-8"))


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise BrokenRow(undecodable(encoding, error)) from None


def _keys(value: Any) -> int:
    """Number of keys at all levels; far below zero when a float may have been an integer that the fast parser
    rounded."""
    count = len(value) if type(value) is dict else 0
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict or kind is list:
            count += _keys(item)
        elif kind is float and (item >= 9e15 or item <= -9e15):
            count -= 10**9
    return count


class StrictDecoder(json.JSONDecoder):
    """The standard decoder, noting in `found` what it would pass over in silence."""

    def __init__(self) -> None:
        self.found: list[Text] = []
        super().__init__(object_pairs_hook=self._pairs, parse_constant=self._constant, parse_float=self._float)

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self.found.append(text("has the field `{field}` twice", field=twice[:80]))
        return value

    def _constant(self, name: str) -> None:
        self.found.append(text("holds {constant}, which is not JSON: write null or a number", constant=name))

    def _float(self, digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            self.found.append(text("holds the number {number}, which is too large", number=digits[:40]))
        return value

    def check(self, value: Any, source: str) -> dict[str, Any]:
        """The value if it is a row; raises BrokenRow with the first thing found."""
        found, self.found = self.found, []
        if type(value) is not dict:
            raise BrokenRow(text(NOT_OBJECT, kind=KINDS[type(value)]))
        if found:
            raise BrokenRow(found[0])
        if "\\ud" in source.lower() and any("\ud800" <= c <= "\udfff" for c in json.dumps(value, ensure_ascii=False)):
            raise BrokenRow(
                text("holds half of a surrogate pair (\\ud83d without its second half), which is no character")
            )
        return value


def parse_strictly(source: str) -> dict[str, Any]:
    decoder = StrictDecoder()
    try:
        value = decoder.decode(source)
    except json.JSONDecodeError as error:
        raise BrokenRow(text(NOT_JSON, column=error.pos + 1, detail=error.msg)) from None
    except RecursionError:
        raise BrokenRow(text("is nested too deeply to be read")) from None
    except ValueError:  # json itself raises only for numbers of more digits than sys.get_int_max_str_digits()
        raise BrokenRow(text("holds a number of more than {most} digits", most=sys.get_int_max_str_digits())) from None
    return decoder.check(value, source)


def json_values(stream: Stream, facts: FileFacts, problems: Problems, limits: Limits, number: int) -> Iterator[Row]:
    """The elements of one array (`json_array`) or objects one after the other (`json_object`), one at a time.

    Holds at most one element and one block. A broken element ends the reading, since nothing says where the next one
    starts.
    """
    decoder, decode = StrictDecoder(), codecs.getincrementaldecoder(facts.encoding)(_errors(facts.encoding))
    in_array, first = facts.kind == "json_array", stream.position == facts.bom
    buffer, position, done, at, ended = "", 0, 0, stream.position, False  # byte `at` of the file is character `done`
    while True:
        position, first = _to_next(buffer, position, first, in_array)
        if in_array and buffer[position : position + 1] == "]":
            _check_rest(buffer[position + 1 :], stream, problems, number, at, facts)
            return
        try:
            value, end = _decode_at(decoder, buffer, position, ended)
        except (ValueError, RecursionError) as error:
            decoder.found.clear()
            reason = _stop_reason(error, buffer, position, ended, in_array, limits)
            if reason is not None:
                if reason.template:
                    problems.add(number, at + _bytes(buffer[done:position], facts.encoding), reason, facts.name)
                return
            block = stream.read(BLOCK)
            grown = [block]
            while block and sum(map(len, grown)) < len(buffer) - position:  # doubling keeps long elements linear
                block = stream.read(BLOCK)
                grown.append(block)
            ended = not block
            at += _bytes(buffer[done:position], facts.encoding)
            buffer, position, done = buffer[position:] + decode.decode(b"".join(grown), ended), 0, 0
            continue
        at, done = at + _bytes(buffer[done:position], facts.encoding), position
        try:
            source = buffer[position:end]
            if not source.isascii():
                _decode(source.encode(facts.encoding, _errors(facts.encoding)), facts.encoding)
            yield Row(number, at, decoder.check(value, source), facts.name)
        except BrokenRow as broken:
            problems.add(number, at, broken.reason, facts.name)
        number, position = number + 1, end


def _to_next(buffer: str, position: int, first: bool, in_array: bool) -> tuple[int, bool]:
    """Position of the next value, past white space, commas and (once) the opening bracket."""
    while position < len(buffer):
        char = buffer[position]
        if first and in_array and char == "[":
            first = False
        elif not (char.isspace() or char == ","):
            break
        position += 1
    return position, first


def _decode_at(decoder: StrictDecoder, buffer: str, position: int, ended: bool) -> tuple[Any, int]:
    if position >= len(buffer):
        raise ValueError("end of buffer")
    value, end = decoder.raw_decode(buffer, position)
    if end >= len(buffer) - 1 and not ended and type(value) in (int, float):
        raise ValueError("a number may go on in the next block")
    return value, end


def _stop_reason(
    error: Exception, buffer: str, position: int, ended: bool, in_array: bool, limits: Limits
) -> Text | None:
    """Why reading ends here; None when more bytes may help; an empty text at a proper end."""
    if isinstance(error, RecursionError):
        return text("is nested too deeply to be read; what comes after it is not read")
    if len(buffer) - position > limits.line_bytes:
        most = limits.line_bytes // MEGABYTE
        return text("is longer than {most} MiB or never closes; what comes after it is not read", most=most)
    if not ended:
        return None
    if position >= len(buffer):
        return text("is missing: the list never closes, so the file was cut off") if in_array else Text("")
    detail = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return text("is cut off or broken ({detail}); what comes after it is not read", detail=detail)


def _check_rest(rest: str, stream: Stream, problems: Problems, number: int, at: int, facts: FileFacts) -> None:
    if (rest + stream.read(64).decode(facts.encoding, "replace")).strip():
        problems.add(number, at, text("comes after the end of the list and is not read"), facts.name)


def _errors(encoding: str) -> str:
    """An error handler that gives broken bytes back unchanged, so that offsets stay true."""
    return "replace" if encoding.startswith("utf-16") else "surrogateescape"


def _bytes(source: str, encoding: str) -> int:
    if source.isascii() and not encoding.startswith("utf-16"):
        return len(source)
    return len(source.encode(encoding, _errors(encoding)))

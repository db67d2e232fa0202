"""Taking the answer out of a completion. Every search is linear in the text, or has a time limit."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import regex

from platform_core.errors import Text, text
from platform_core.rewards.exact_match import extract as plain_extract
from platform_core.rewards.function import AnswerFunction
from platform_core.rewards.numbers import LAST_NUMBER, tidy_number

LOOKED_AT = 200_000
"""Characters, the last of a completion, in which an answer is looked for."""
PATTERN_SECONDS = 1.0
JSON_STARTS = 64
BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
NO_BOX = text("there is no closed \\boxed in it")
OPEN_THINKING, CLOSE_THINKING = "<think>", "</think>"


@dataclass(frozen=True)
class Found:
    """An answer, or None and why there is none; `several` tells that it was the last of more than one."""

    answer: str | None
    why: Text | None = None
    several: bool = False


def without_thinking(completion: str) -> str:
    """What follows the last `</think>`; a thinking that never ends leaves what stands before it."""
    said = completion.rpartition(CLOSE_THINKING)[2]
    return said.partition(OPEN_THINKING)[0]


def looked_at(completion: str, function: AnswerFunction) -> str:
    """The part of a completion in which the answer is looked for."""
    said = without_thinking(completion) if function.cut_thinking else completion
    return said[-LOOKED_AT:]


def extract(said: str, function: AnswerFunction) -> Found:
    """The answer in a text by the function's rule. Raises TimeoutError when a pattern takes too long."""
    how = function.extraction
    if how == "boxed":
        return _boxed(said)
    if how == "tag":
        return _tagged(said, function.tag)
    if how == "json":
        return _in_json(said, function.json_path)
    if how == "regex":
        return _matched(said, function.pattern)
    if how == "last_number":
        numbers = LAST_NUMBER.findall(said)
        if not numbers:
            return Found(None, text("there is no number in it"))
        return Found(tidy_number(numbers[-1]), None, len(numbers) > 1)
    answer = plain_extract(said, how, function.marker)
    if answer is None:
        return Found(None, text("there is no “{marker}” in it", marker=function.marker))
    return Found(answer, None, how == "marker" and said.count(function.marker) > 1)


def extract_plain(said: str, function: AnswerFunction) -> Found:
    """As `extract`, but the last number is what exact match takes for one: a decimal number."""
    if function.extraction != "last_number":
        return extract(said, function)
    answer = plain_extract(said, "last_number")
    return Found(answer) if answer is not None else Found(None, text("there is no number in it"))


def _boxed(said: str) -> Found:
    """The content of the box that closes last, in one pass over braces."""
    opened: list[int] = []
    boxes: list[tuple[int, int]] = []
    for match in BRACES.finditer(said):
        token = match.group()
        if token.startswith(("\\boxed", "\\fbox")):
            opened.append(match.end())
        elif token == "{":
            opened.append(-1)
        elif token == "}" and opened and (start := opened.pop()) >= 0:
            boxes.append((start, match.start()))
    if not boxes:
        return Found(None, NO_BOX)
    start, end = boxes.pop()
    several = any(e < start for _, e in boxes)
    while boxes and BRACES.fullmatch(said[start : boxes[-1][0]].strip()) and not said[boxes[-1][1] + 1 : end].strip():
        start, end = boxes.pop()  # a box that holds nothing but another
    return Found(said[start:end].strip(), None, several)


def _tagged(said: str, tag: str) -> Found:
    before, close, _ = said.rpartition(f"</{tag}>")
    start, found, answer = before.rpartition(f"<{tag}>")
    if not close or not found:
        return Found(None, text("there is no <{tag}>…</{tag}> in it", tag=tag))
    return Found(answer.strip(), None, f"</{tag}>" in start)


def _matched(said: str, pattern: str) -> Found:
    last = None
    count = 0
    for match in regex.finditer(pattern, said, timeout=PATTERN_SECONDS):
        last, count = match, count + 1
    if last is None:
        return Found(None, text("the pattern matches nowhere in it"))
    answer = next((group for group in last.groups() if group is not None), last.group())
    return Found(str(answer).strip(), None, count > 1)


def _in_json(said: str, path: str) -> Found:
    value, several = last_json(said)
    if value is None:
        return Found(None, text("there is no JSON in it"))
    for step in path.removeprefix("$").strip(".").split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and re.fullmatch(r"-?\d{1,6}", step) and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return Found(None, text("its JSON has nothing at {path}", path=path))
    answer = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Found(answer.strip(), None, several)


def last_json(said: str) -> tuple[Any, bool]:
    """The last JSON object or list that stands in a text, and whether there were more; None when there is none.

    At most 64 places are tried, so that a text of braces costs no more.
    """
    decoder, at, tries = json.JSONDecoder(), 0, 0
    found: list[Any] = []
    while tries < JSON_STARTS and (start := _next_start(said, at)) is not None:
        tries += 1
        try:
            value, at = decoder.raw_decode(said, start)
            found.append(value)
        except (ValueError, RecursionError):
            at = start + 1
    return (found[-1], len(found) > 1) if found else (None, False)


def _next_start(said: str, at: int) -> int | None:
    starts = [place for mark in "{[" if (place := said.find(mark, at)) >= 0]
    return min(starts) if starts else None


def wanted(reference: str, function: AnswerFunction, plain: bool = False) -> str:
    """The reference answer: taken out by the same rule where the reference holds one, else all of it."""
    found = (extract_plain if plain else extract)(reference, function)
    return reference.strip() if found.answer is None else found.answer

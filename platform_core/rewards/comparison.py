"""Comparing an answer with the reference: as text, as numbers, by likeness."""

from __future__ import annotations

import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from fractions import Fraction
from typing import Literal

from platform_core.rewards.numbers import Number, read_number

LONGEST_COMPARED = 2_000
Percent = Literal["fraction", "number"]


def same_text(answer: str, reference: str, ignore_case: bool, ignore_spaces: bool) -> bool:
    """Whether two texts are equal, by choice whatever their case and spaces."""
    a, b = (folded(t, ignore_case, ignore_spaces) for t in (answer, reference))
    return a == b


def folded(said: str, ignore_case: bool, ignore_spaces: bool) -> str:
    """A text with what shall not matter taken out."""
    said = said.casefold() if ignore_case else said
    return " ".join(said.split()) if ignore_spaces else said


def same_number(
    answer: Number, reference: Number, relative: float, absolute: float, percent: Percent, units: bool
) -> bool:
    """Whether |a − b| ≤ max(absolute, relative · |b|), exactly for zero tolerances; with `units`, their units, too."""
    a, b = (amount(n, percent) for n in (answer, reference))
    room = max(Fraction(absolute), Fraction(relative) * abs(b))
    return abs(a - b) <= room and (not units or answer.unit == reference.unit)


def amount(number: Number, percent: Percent) -> Fraction:
    """The value that counts: 50 % is 0.5, or 50 where the sign shall not matter."""
    return number.value / 100 if number.percent and percent == "fraction" else number.value


def numbers(answer: str, reference: str, decimal_comma: bool) -> tuple[Number | None, Number | None]:
    """Both texts as numbers."""
    return read_number(answer, decimal_comma), read_number(reference, decimal_comma)


def likeness(answer: str, reference: str, measure: Literal["characters", "words"]) -> float:
    """0 to 1. `words`: F1 of the words both have (SQuAD, Rajpurkar et al. 2016); `characters`: Ratcliff/Obershelp.

    At most 2,000 characters of each are compared.
    """
    a, b = (unicodedata.normalize("NFKC", t[:LONGEST_COMPARED]).casefold() for t in (answer, reference))
    if measure == "characters":
        return SequenceMatcher(None, a, b, autojunk=False).ratio()
    left, right = Counter(a.split()), Counter(b.split())
    shared = sum((left & right).values())
    return 2 * shared / (sum(left.values()) + sum(right.values())) if shared else 0.0

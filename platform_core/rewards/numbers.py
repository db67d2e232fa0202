"""Numbers as people and models write them: thousands, fractions, per cent, powers of ten, units, other digits."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

LONGEST, LARGEST_EXPONENT = 200, 300
DIGITS = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}|\d+)(?:\.\d+)?|\.\d+"
LAST_NUMBER = re.compile(rf"(?:(?<![\w.)\]}}])[-−+])?(?:{DIGITS})(?:[eE][-+]?\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%)?")
MINUS = str.maketrans(dict.fromkeys("−–‒﹣－", "-"))
FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}|\\[dtc]?frac\s*(\d)\s*(\d)")
WORDS = re.compile(r"\\(?:text|mathrm|mathbf|mbox|textbf)\s*\{([^{}]*)\}")
NOISE = re.compile(r"\\[,!;: ]|\\left|\\right|\\(?:\(|\)|\[|\])|[$€£¥]")
GROUPED = re.compile(r"(?<=\d)[\s'’_](?=\d{3}(?!\d))|(?<=\d)\{?,\}?(?=\d{3}(?!\d))|(?<=\d),(?=\d{2},)")
UNIT = re.compile(r"(?:[^\W\d_][^\d]*(?:\^?[23])?|[°/(][^\d]*)?")
SUPERSCRIPTS = str.maketrans({c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
POWER = re.compile(r"\s*(?:×|\*|·|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?\d+)\s*\}?")
NUMBER = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<whole>\d+)\s+(?P<mixed>\d+/\d+)|(?P<top>\d*\.?\d+)\s*/\s*(?P<bottom>\d*\.?\d+)"
    r"|(?P<decimal>\d+\.?\d*|\.\d+)(?:[eE](?P<exponent>[-+]?\d+))?)"
    r"\s*(?P<percent>\\?%|percent\b|per cent\b)?\s*(?P<unit>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Number:
    """An exact value, whether it was written in per cent, and the unit behind it (lower case, may be empty)."""

    value: Fraction
    percent: bool = False
    unit: str = ""


def read_number(said: str, decimal_comma: bool = False) -> Number | None:
    """The number that a text is; None when it is none, or longer or larger than anyone means."""
    if len(said) > LONGEST:
        return None
    plain = _plain(said)
    if decimal_comma:
        plain = plain.translate(str.maketrans(",.", ".,"))
    plain = GROUPED.sub("", plain)
    power = POWER.search(plain)
    if power:
        plain = f"{plain[: power.start()]}e{power.group(1)}{plain[power.end() :]}"
    match = NUMBER.fullmatch(plain.strip())
    if match is None:
        return None
    value = _value(match)
    if value is None:
        return None
    unit = match["unit"].rstrip(" .").lower()
    if not UNIT.fullmatch(unit):
        return None  # a second number, or a power: this is no single value
    return Number(-value if match["sign"] == "-" else value, bool(match["percent"]), unit)


def tidy_number(said: str) -> str:
    """A number found in a text, without thousands commas."""
    return re.sub(r",(?=\d)", "", said).strip()


def latin_digits(said: str) -> str:
    """A text with the digits of all scripts as 0 to 9."""
    return "".join(str(unicodedata.digit(c)) if not c.isascii() and c.isdecimal() else c for c in said)


def _plain(said: str) -> str:
    """Latin digits and signs, LaTeX fractions as a/b, no currency, spacing or text commands."""
    plain = latin_digits(unicodedata.normalize("NFKC", said.translate(SUPERSCRIPTS))).translate(MINUS).replace("⁄", "/")
    plain = FRACTION.sub(lambda m: f" {m[1] or m[3]}/{m[2] or m[4]} ", plain)
    plain = WORDS.sub(r" \1", plain)
    return NOISE.sub("", plain).strip().rstrip(".").strip()


def _value(match: re.Match[str]) -> Fraction | None:
    try:
        if match["mixed"]:
            return Fraction(match["whole"]) + Fraction(match["mixed"])
        if match["bottom"]:
            return Fraction(match["top"]) / Fraction(match["bottom"])
        exponent = int(match["exponent"] or 0)
        if abs(exponent) > LARGEST_EXPONENT:
            return None
        return Fraction(match["decimal"].rstrip(".")) * Fraction(10) ** exponent
    except (ValueError, ZeroDivisionError):
        return None

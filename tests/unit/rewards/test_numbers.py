"""Numbers as people and models write them, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_core.rewards.comparison import likeness, same_number
from platform_core.rewards.numbers import Number, read_number


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("42", 42),
        ("-7", -7),
        ("−7", -7),
        ("+3.50", Fraction("3.5")),
        (".5", Fraction(1, 2)),
        ("1,234,567", 1_234_567),
        ("1 234 567", 1_234_567),
        ("1'234'567", 1_234_567),
        ("12{,}345", 12_345),
        ("1,00,000", 100_000),
        ("3/4", Fraction(3, 4)),
        ("1 3/4", Fraction(7, 4)),
        ("½", Fraction(1, 2)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\dfrac34", Fraction(-3, 4)),
        ("1.5e3", 1500),
        ("1.5 × 10^3", 1500),
        (r"2\times10^{-3}", Fraction(1, 500)),
        ("$1,200.50", Fraction("1200.5")),
        ("１２", 12),
        ("٣٤", 34),
        (r"42\text{ km}", 42),
        ("42 km/h", 42),
        ("5 m2", 5),
        ("42.", 42),
    ],
)
def test_it_reads(said: str, value: object) -> None:
    number = read_number(said)
    assert number is not None
    assert number.value == value


@pytest.mark.parametrize("said", ["", "x", "1/0", "1e999999999", "9" * 300, "3 or 4", "1.2.3", "--5", "nan", "²"])
def test_it_reads_no_number(said: str) -> None:
    assert read_number(said) is None


def test_percent_units_and_the_decimal_comma() -> None:
    assert read_number("50 %") == Number(Fraction(50), True, "")
    assert read_number("5 km") == Number(Fraction(5), False, "km")
    assert read_number("1.234,5", decimal_comma=True) == Number(Fraction("1234.5"))
    half, fifty = Number(Fraction(1, 2)), Number(Fraction(50), True)
    assert same_number(fifty, half, 0, 0, "fraction", False)
    assert not same_number(fifty, half, 0, 0, "number", False)
    assert not same_number(Number(Fraction(5), unit="km"), Number(Fraction(5), unit="m"), 0, 0, "number", True)


def test_tolerances() -> None:
    pi, near = Number(Fraction("3.14159")), Number(Fraction("3.14"))
    assert not same_number(near, pi, 0, 0, "number", False)
    assert same_number(near, pi, 0.001, 0, "number", False)
    assert same_number(near, pi, 0, 0.002, "number", False)


@given(st.fractions(max_denominator=10**6).filter(lambda f: abs(f) < 10**12))
def test_what_is_written_is_read(value: Fraction) -> None:
    number = read_number(f"{value.numerator}/{value.denominator}")
    assert number is not None
    assert number.value == value


@given(st.integers(-(10**15), 10**15))
def test_thousands_are_read(value: int) -> None:
    for said in (f"{value:,}", f"{value:_}", f"{value}"):
        number = read_number(said)
        assert number is not None
        assert number.value == value


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_none(said: str) -> None:
    read_number(said)


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["words", "characters"]))
def test_likeness_is_a_share(a: str, b: str, measure: str) -> None:
    assert 0 <= likeness(a, b, measure) <= 1  # type: ignore[arg-type]
    assert not a.strip() or likeness(a, a, measure) == 1  # type: ignore[arg-type]

"""Tables that fit, numbers that can be read, text that can't steer a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commands.printing import ago, cut, duration, plain, program, table, width

HEADERS = ["ID", "NAME", "KIND", "STATE", "STEP", "VALUE"]
ROW: list[object] = ["6afd5s81yv2x", "A job with a long name 中文名字", "pretrain", "running", "10/100", "loss 0.123"]


def test_a_table_without_a_limit_shows_everything() -> None:
    head, line = table(HEADERS, [ROW])
    assert head.split() == HEADERS
    assert all(str(v) in line for v in ROW)


@pytest.mark.parametrize("columns", [200, 100, 80, 60, 40, 30])
def test_a_table_fits_and_keeps_the_id(columns: int) -> None:
    lines = table(HEADERS, [ROW, ROW], columns)
    assert all(width(line) <= columns for line in lines)
    assert all(line.startswith("6afd5s81yv2x") for line in lines[1:])


def test_wide_characters_keep_columns_aligned() -> None:
    _, first, second = table(["NAME", "X"], [["中文", "a"], ["abcdef", "b"]])
    assert width(first[: first.index("a")]) == width(second[: second.index("b", 6)])


def test_numbers_stand_at_the_right() -> None:
    assert table(["N", "X"], [[1, "a"], [100, "b"]])[1:] == ["  1  a", "100  b"]


@given(st.text(), st.integers(1, 40))
def test_cut_text_fits(text: str, limit: int) -> None:
    assert width(cut(plain(text), limit)) <= limit


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    shown = plain(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202e\u2066\u2028" for c in shown)
    shown.encode()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3840, "1 h 04 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_ago() -> None:
    assert [ago(s) for s in (1, 200, 4000)] == ["just now", "3 min ago", "1 h ago"]


def test_hints_name_a_command_that_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "my tools" / "lathe"
    there.parent.mkdir()
    there.write_text("#!/bin/sh\n")
    there.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(there), "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == f"'{there}'"
    monkeypatch.setenv("PATH", str(there.parent))
    assert program() == "lathe"

"""Sizes as people read them, settings as people type them, vocabularies from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.sizes import bytes_text, count_text, tidy, typed
from platform_core.models.vocabulary import vocabulary_size


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.5 KiB"), (604_160, "590 KiB"), (3 * 2**30, "3.0 GiB"), (5e15, "4547.5 TiB")],
)
def test_bytes(n: float, text: str) -> None:
    assert bytes_text(n) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0"), (9_999, "9,999"), (32_000, "32 k"), (153_728, "154 k"), (7_240_000_000, "7.24 B")]
)
def test_counts(n: float, text: str) -> None:
    assert count_text(n) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2e-5, "2e-5"), (0.001, "0.001"), (1.2345678e-5, "1.2345678e-05"), (1e10, "1e10"), (None, "none"), (8, "8")],
)
def test_what_is_typed_is_exact(value: object, text: str) -> None:
    assert typed(value) == text
    if isinstance(value, float):
        assert float(typed(value)) == value


def test_only_numbers_are_tidied() -> None:
    assert tidy("2e-05") == "2e-5"
    assert tidy("name-1e-05.jsonl") == "name-1e-05.jsonl"


def test_a_vocabulary_counts_added_tokens_once(tmp_path: Path) -> None:
    data = {"model": {"vocab": {"a": 0, "b": 1, "<eos>": 2}}, "added_tokens": [{"id": 2}, {"id": 3}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    assert vocabulary_size(tmp_path) == 4


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"model": {"vocab": 7}}', "[" * 100_000])
def test_a_broken_tokenizer_has_no_size(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    assert vocabulary_size(tmp_path) is None
    assert vocabulary_size(tmp_path / "nowhere") is None

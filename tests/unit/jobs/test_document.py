"""A job as YAML and back."""

from __future__ import annotations

import pytest

from platform_core.errors import Problem
from platform_core.jobs.document import LARGEST, Document, read, write


def test_what_is_written_is_read() -> None:
    settings = {"model": "小模型", "learning_rate": 2e-5, "max_steps": None}
    assert read(write("sft", "a: name", settings, "hf")) == Document("sft", "hf", "a: name", settings)
    assert write("sft", "", {}) == "kind: sft\nspec: {}\n"


def test_settings_alone_are_a_document_that_says_no_kind() -> None:
    assert read("seed: 1\nkind_of: x") == Document("", "", "", {"seed": 1, "kind_of": "x"})
    assert read("kind: sft\nspec:\n") == Document("sft", "", "", {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "This YAML holds no settings"),
        ("1: 2", "This YAML holds no settings"),
        ("spec: [1]", "`spec` in this YAML holds no settings"),
        ("a: 1\nb: [", "Line 2 of this YAML can't be understood"),
        ("a: &x [1]\nb: *x", "This YAML uses aliases"),
        ("[" * 5000, "nested too deeply"),
        ("a: 2020-99-99", "This YAML can't be understood: month must be in 1..12"),
        ("x" * (LARGEST + 1), "larger than 1 MiB"),
    ],
)
@pytest.mark.slow
def test_what_is_no_job_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        read(text)
    assert sentence in str(caught.value)

"""Rows of a dataset as a trainer takes them; what is faulty is left out and counted."""

from pathlib import Path

import pytest

from platform_core.datasets.needs import training_rows
from platform_core.errors import Problem
from tests.rows import write_rows

from .reading import CHAT, FILES


def test_training_rows_skip_and_count(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n{"prompt": "c"}\n{broken\n{"prompt": "d", "response": "e"}\n')
    found = training_rows(path, "sft")
    assert list(found) == [{"prompt": "a", "completion": "b"}, {"prompt": "d", "completion": "e"}]
    assert found.format == "prompt_response"
    assert found.skipped == 2
    assert len(list(training_rows(path, "sft", limit=1))) == 1


def test_training_rows_of_real_files() -> None:
    gsm8k = list(training_rows(FILES / "gsm8k.jsonl", "grpo"))
    assert len(gsm8k) == 6
    assert gsm8k[0]["answer"].endswith("#### 18")
    chats = list(training_rows(FILES / "conversations.json", "sft"))
    assert [m["role"] for m in chats[0]["messages"]][:2] == ["user", "assistant"]
    mapped = list(
        training_rows(FILES / "mgsm_zh.tsv", "evaluation", columns={"prompt": "column_1", "reference": "column_2"})
    )
    assert mapped[0]["reference"] == "18"


def test_one_chat_among_the_first_rows_makes_all_rows_chats(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_rows(path, [{"prompt": "2+3=", "response": "5"}, {"prompt": [CHAT[0]], "response": [CHAT[1]]}])
    assert list(training_rows(path, "sft")) == [{"messages": CHAT}] * 2


def test_training_rows_refuse_at_once_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    path.write_text('{"text": "2+3=5"}\n')
    with pytest.raises(Problem) as caught:
        training_rows(path, "sft")
    assert str(caught.value) == (
        "sums.jsonl holds plain texts (`text`); SFT needs a prompt and a response, or chats. "
        "Rename its fields or pick another dataset."
    )
    path.write_text("{broken\n")
    with pytest.raises(Problem, match="No row of"):
        training_rows(path, "sft")
    path.write_text('{"a": 1}\n')
    with pytest.raises(Problem) as caught:
        training_rows(path, "dpo")
    assert "The fields of sums.jsonl (`a`) belong to no known format" in str(caught.value)
    with pytest.raises(Problem, match=r"can't be mapped|no known format"):
        training_rows(path, "dpo", columns={"nonsense": "a"})


def test_rated_answers_are_not_learned_from_as_if_all_were_good(tmp_path: Path) -> None:
    path = tmp_path / "kto.jsonl"
    write_rows(path, [{"prompt": "2+3=", "completion": "6", "label": False}])
    with pytest.raises(Problem, match="rated true or false"):
        training_rows(path, "sft")

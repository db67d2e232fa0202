"""Pairs and rated answers: labels of all kinds, faulty rows, copies for another family, one label alone."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from platform_core.datasets import service
from platform_core.datasets.check import check_dataset
from platform_core.datasets.formats import detect, validate
from platform_core.datasets.needs import offered, training_rows
from platform_core.datasets.samples import rating
from platform_core.errors import Problem
from tests.rows import write_rows

ASK, SAY, WRONG = (
    {"role": who, "content": said} for who, said in (("user", "2+3="), ("assistant", "5"), ("assistant", "6"))
)
PAIRS = [{"prompt": f"{n}+1=", "chosen": f"{n + 1}", "rejected": f"{n}"} for n in range(4)]


def put(home: Path, name: str, rows: Iterable[object]) -> str:
    write_rows(home / "datasets" / name, rows)
    return name


def read(home: Path, name: str, to: str) -> list[dict[str, object]]:
    return list(training_rows(home / "datasets" / name, to))


@pytest.mark.parametrize(
    ("label", "good"),
    [
        *((yes, True) for yes in (True, 1, 1.0, "1", "true", "True ", "+1", "thumbs up", "👍", "Good")),
        *((no, False) for no in (False, 0, 0.0, -1, "-1", "false", "thumbs_down", "👎", "bad")),
        *((odd, None) for odd in (3, 0.5, "", None, [], {}, "maybe", float("nan"))),
    ],
)
def test_labels(label: object, good: bool | None) -> None:
    assert rating(label) is good
    row = {"prompt": "a", "completion": "b", "label": label}
    assert (detect([row])[0].format == "kto") is (good is not None)


@pytest.mark.parametrize(
    ("form", "row", "reason"),
    [
        ("dpo", {"prompt": "a", "chosen": "b", "rejected": "b"}, "has the same text in `chosen` and `rejected`"),
        ("dpo", {"prompt": "a", "chosen": "b", "rejected": " "}, "has an empty `rejected`"),
        ("dpo", {"prompt": "a", "chosen": "b"}, "has no `rejected`"),
        ("dpo", {"prompt": [ASK], "chosen": [{**SAY, "content": ""}], "rejected": [WRONG]}, "has an empty `chosen`"),
        (
            "hh_transcript",
            dict.fromkeys(("chosen", "rejected"), "\n\nHuman: a\n\nAssistant: b"),
            "has the same text in `chosen` and `rejected`",
        ),
        ("kto", {"prompt": "a", "completion": "b", "label": "x"}, "has a `label` that is neither true nor false"),
        ("kto", {"prompt": "a", "completion": "b"}, "has no `label`"),
        ("kto", {"prompt": [ASK], "completion": [{**SAY, "content": " "}], "label": 1}, "has an empty `completion`"),
    ],
)
def test_faulty_rows_are_told_why(form: str, row: dict[str, object], reason: str) -> None:
    assert str(validate(form, row)) == reason


def test_a_copy_for_kto_holds_each_answer_with_its_label(home: Path) -> None:
    put(home, "pairs.jsonl", [*PAIRS, {"prompt": "x", "chosen": "y", "rejected": "y"}])
    with pytest.raises(Problem, match=r"lathe data convert pairs\.jsonl --for kto"):
        check_dataset(home, "pairs.jsonl", "kto")
    assert offered(service.report(home, "pairs.jsonl").guesses) == ["kto", "sft"]
    copy = service.make_copy(home, "pairs.jsonl", "kto")
    assert copy.name == "pairs-kto.jsonl"
    check_dataset(home, copy.name, "kto")
    assert read(home, copy.name, "kto")[:2] == [
        {"prompt": "0+1=", "completion": "1", "label": True},
        {"prompt": "0+1=", "completion": "0", "label": False},
    ]
    assert len(read(home, copy.name, "kto")) == 8
    assert service.make_copy(home, "pairs.jsonl", "kto").name == "pairs-kto-2.jsonl"
    assert read(home, service.make_copy(home, "pairs.jsonl", "sft").name, "sft")[0] == {
        "prompt": "0+1=",
        "completion": "1",
    }


def test_pairs_from_rated_answers_share_their_prompt(home: Path) -> None:
    rated = [("a", "1", 0), ("b", "2", 1), ("a", "3", 1), ("a", "4", 1), ("a", "5", 0), ("b", "2", 0), ("c", "7", 1)]
    put(home, "rated.jsonl", ({"prompt": p, "completion": c, "label": label} for p, c, label in rated))
    copy = service.make_copy(home, "rated.jsonl", "dpo", "mine.jsonl")
    assert [(r["prompt"], r["chosen"], r["rejected"]) for r in read(home, copy.name, "dpo")] == [
        ("a", "3", "1"),
        ("a", "4", "5"),
    ]
    good = read(home, service.make_copy(home, "rated.jsonl", "sft").name, "sft")
    assert [r["completion"] for r in good] == ["2", "3", "4", "7"]


def test_chats_stay_chats(home: Path) -> None:
    put(home, "chats.jsonl", [{"prompt": [ASK], "chosen": [SAY], "rejected": [WRONG]}] * 3)
    rated = read(home, service.make_copy(home, "chats.jsonl", "kto").name, "kto")
    assert rated[1] == {"prompt": [ASK], "completion": [WRONG], "label": False}
    assert read(home, service.make_copy(home, "chats.jsonl", "sft").name, "sft")[0] == {"messages": [ASK, SAY]}


def test_no_copy_where_none_is_needed_or_none_can_be_made(home: Path) -> None:
    put(home, "pairs.jsonl", PAIRS)
    put(home, "texts.jsonl", [{"text": "a"}])
    put(home, "good.jsonl", [{"prompt": "a", "completion": "b", "label": True}])
    for name, to, said in (
        ("pairs.jsonl", "reward_model", "no copy is needed"),
        ("texts.jsonl", "kto", "KTO needs a prompt, an answer and whether it is good"),
        ("good.jsonl", "dpo", "no good and bad answer to the same prompt"),
    ):
        with pytest.raises(Problem, match=said):
            service.make_copy(home, name, to)
    with pytest.raises(Problem, match="exists already"):
        service.make_copy(home, "pairs.jsonl", "kto", "texts.jsonl")
    assert sorted(p.name for p in (home / "datasets").iterdir()) == ["good.jsonl", "pairs.jsonl", "texts.jsonl"]


def test_one_label_alone_teaches_nothing(home: Path) -> None:
    put(home, "good.jsonl", [{"prompt": "a", "completion": f"{n}", "label": 1} for n in range(5)])
    with pytest.raises(Problem, match=r"All rows of good\.jsonl have the same label"):
        check_dataset(home, "good.jsonl", "kto")

"""Rows out of any encoding, JSON and plain lines: what can be read is read, and nothing is lost in silence."""

import codecs
import json
import tracemalloc
from pathlib import Path

import pytest

from platform_core.datasets.read import rows
from platform_core.datasets.rows import Limits, Start
from tests.rows import jsonl

from .reading import FILES, SUMS, everything, refusal, write


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_json_array_offsets_lead_to_the_row(tmp_path: Path, indent: int | None, encoding: str) -> None:
    values = [{"text": f"第{i}行：战国无双的故事" * 3, "n": i} for i in range(30)]
    path = write(tmp_path / "a.json", json.dumps(values, ensure_ascii=False, indent=indent).encode(encoding))
    found = list(rows(path))
    assert [r.value for r in found] == values
    again = list(rows(path, Start(found[20].file, found[20].offset, found[20].number)))
    assert again == found[20:]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_encodings_and_offsets(tmp_path: Path, encoding: str, name: str) -> None:
    values = [{"prompt": f"{i} 颗鸭蛋“每天”赚多少钱", "response": f"答案是 {i}，\n对吧"} for i in range(25)]
    content = jsonl(values)
    if name.endswith(".csv"):
        content = "prompt,response\n" + "".join(f'"{v["prompt"]}","{v["response"]}"\n' for v in values)
    path = write(tmp_path / name, content.encode(encoding))
    source = rows(path)
    found = list(source)
    assert [r.value for r in found] == values
    assert source.problems.total == 0
    again = rows(path, Start(found[11].file, found[11].offset, found[11].number))
    assert list(again) == found[11:]


def test_utf_32_is_refused(tmp_path: Path) -> None:
    assert "UTF-32" in refusal(write(tmp_path / "a.jsonl", codecs.BOM_UTF32_LE + jsonl(SUMS).encode("utf-32-le")))


def test_one_bad_byte_costs_one_row_not_the_encoding(tmp_path: Path) -> None:
    good = jsonl([{"text": f"中文 {i}"} for i in range(30)]).encode().splitlines(keepends=True)
    good[12] = good[12].replace("中".encode(), b"\xb8\xff")
    values, problems, source = everything(write(tmp_path / "a.jsonl", b"".join(good)))
    assert source.files[0].encoding == "utf-8"
    assert len(values) == 29
    assert problems == [(13, "is not UTF-8 at byte 11 of the row")]


def test_western_accents_are_not_read_as_chinese(tmp_path: Path) -> None:
    lines = ["Le café est fermé à midi", "Où est la forêt près de chez toi ?", "Ça va très bien, merci"] * 5
    values, _, source = everything(write(tmp_path / "a.txt", "\n".join(lines).encode("cp1252")))
    assert source.files[0].encoding == "cp1252"
    assert [v["text"] for v in values] == lines


def test_broken_and_cut_lines_are_named(tmp_path: Path) -> None:
    lines = jsonl(SUMS[:5]).splitlines()
    lines[1] = '{"prompt": "1+2=", "response": }'
    path = write(tmp_path / "a.jsonl", "\n".join(lines)[:-6])
    values, problems, _ = everything(path)
    assert values == [SUMS[0], SUMS[2], SUMS[3]]
    assert problems == [
        (2, "is not JSON at character 32: Expecting value"),
        (5, "is cut off in the middle: the file ends before the row does"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1, "a": 2}', "has the field `a` twice"),
        ('{"a" :1, "a":2}', "has the field `a` twice"),
        ('{"a":1, "\\u0061":2}', "has the field `a` twice"),
        ('{"m": [{"role": "user", "role": "x"}]}', "has the field `role` twice"),
        ('{"a": NaN}', "holds NaN, which is not JSON: write null or a number"),
        ('{"a": -Infinity}', "holds -Infinity, which is not JSON: write null or a number"),
        ('{"a": 1e999}', "holds the number 1e999, which is too large"),
        ('{"a": ' + "9" * 5000 + "}", "holds a number of more than 4300 digits"),
        ("[1, 2]", "is of type `array`, but a row must be an object with named fields"),
        ("42", "is of type `number`, but a row must be an object with named fields"),
        ("null", "is of type `null`, but a row must be an object with named fields"),
        ('{"a": "\\ud83d"}', "holds half of a surrogate pair (\\ud83d without its second half), which is no character"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply to be read"),
    ],
)
def test_rows_that_parsers_pass_over_in_silence(tmp_path: Path, line: str, reason: str) -> None:
    good = '{"a": "x\\":y"}'
    values, problems, _ = everything(write(tmp_path / "a.jsonl", f"{good}\n{line}\n\n{good}\n"))
    assert values == [{"a": 'x":y'}] * 2
    assert problems == [(2, reason)]


def test_large_integers_stay_exact(tmp_path: Path) -> None:
    values, _, _ = everything(write(tmp_path / "a.jsonl", '{"n": 123456789012345678901234567890}\n{"f": 1.5}\n'))
    assert values == [{"n": 123456789012345678901234567890}, {"f": 1.5}]


def test_a_huge_line_is_skipped_with_number_and_size_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "first"}\n{"text": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"text": "last"}\n')
    tracemalloc.start()
    try:
        values, problems, _ = everything(path, Limits(line_bytes=4 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert values == [{"text": "first"}, {"text": "last"}]
    assert problems == [(2, "is 200.0 MiB long; rows over 4 MiB are skipped")]
    assert peak < 24 << 20


def test_a_huge_last_line_without_newline(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"short\n" + b"y" * (3 << 20))
    values, problems, _ = everything(path, Limits(line_bytes=1 << 20))
    assert values == [{"text": "short"}]
    assert problems == [(2, "is 3.0 MiB long; rows over 1 MiB are skipped")]


def test_huge_element_of_an_array_ends_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps([{"text": "first"}, {"text": "z" * (5 << 20)}, {"text": "last"}]))
    values, problems, _ = everything(path, Limits(line_bytes=1 << 20))
    assert values == [{"text": "first"}]
    assert problems == [(2, "is longer than 1 MiB or never closes; what comes after it is not read")]


@pytest.mark.parametrize(
    ("content", "count", "reason"),
    [
        ('[{"a": 1}, {"a": 2}', 2, "is missing: the list never closes, so the file was cut off"),
        ('[{"a": 1}, {"a": ', 1, "is cut off or broken (Expecting value); what comes after it is not read"),
        ('[{"a": 1}, {"a": 1, "a": 2}]', 1, "has the field `a` twice"),
        ('[{"a": 1}, {"a": NaN}, {"a": 3}]', 2, "holds NaN, which is not JSON: write null or a number"),
        ('[{"a": 1}, 7, {"a": 3}]', 2, "is of type `number`, but a row must be an object with named fields"),
        ('[{"a": 1}] trailing', 1, "comes after the end of the list and is not read"),
    ],
)
def test_broken_arrays(tmp_path: Path, content: str, count: int, reason: str) -> None:
    values, problems, _ = everything(write(tmp_path / "a.json", content))
    assert len(values) == count
    assert [p[1] for p in problems] == [reason]


def test_array_with_bad_bytes_keeps_its_offsets(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", b'[{"a": "\xff"},\n' + b'{"a": "x"},\n' * 40 + b'{"a": "last"}]')
    found = list(rows(path))
    assert len(found) == 41
    assert path.read_bytes()[found[-1].offset :] == b'{"a": "last"}]'


def test_single_objects(tmp_path: Path) -> None:
    assert everything(write(tmp_path / "one.json", '{"prompt": "a", "response": "b"}'))[0] == [
        {"prompt": "a", "response": "b"}
    ]
    pretty = json.dumps({"prompt": "a", "messages": [{"role": "user"}, {"role": "b"}]}, indent=2)
    assert everything(write(tmp_path / "two.json", pretty))[0] == [json.loads(pretty)]
    assert everything(write(tmp_path / "three.json", pretty + "\n" + pretty))[0] == [json.loads(pretty)] * 2


def test_json_lines_named_json_and_arrays_named_jsonl(tmp_path: Path) -> None:
    assert everything(write(tmp_path / "a.json", jsonl(SUMS)))[0] == SUMS
    assert everything(write(tmp_path / "a.jsonl", json.dumps(SUMS)))[0] == SUMS


def test_text_gives_one_row_a_line(tmp_path: Path) -> None:
    source = rows(write(tmp_path / "a.txt", "first\r\n\r\n[2] second\r\n"))
    assert [(r.number, r.value) for r in source] == [(1, {"text": "first"}), (3, {"text": "[2] second"})]


def test_json_named_csv_is_read_as_json_and_said(tmp_path: Path) -> None:
    values, _, source = everything(write(tmp_path / "a.csv", jsonl(SUMS)))
    assert values == SUMS
    assert str(source.files[0].notes[0]) == "a.csv holds JSON, whatever its name says, and is read as that."


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.json"])
def test_empty_and_blank_files_are_refused(tmp_path: Path, name: str) -> None:
    assert "is empty" in refusal(write(tmp_path / name, b""))
    assert "only blank lines" in refusal(write(tmp_path / name, b"\n \n\r\n"))


def test_missing_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    assert "does not exist any more" in refusal(tmp_path / "gone.jsonl")
    (tmp_path / "folder").mkdir()
    assert "holds no data file" in refusal(tmp_path / "folder")


def test_problems_are_kept_up_to_a_thousand_and_counted_beyond(tmp_path: Path) -> None:
    _, problems, source = everything(write(tmp_path / "a.jsonl", '{"a": 1}\n' + "{broken\n" * 2500))
    assert len(problems) == 1000
    assert source.problems.total == 2500
    assert [c.count for c in source.problems.counts.values()] == [2500]


def test_folder_of_splits(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", jsonl(SUMS))
    write(tmp_path / "test.csv", "prompt,response\n1+1=,2\n")
    write(tmp_path / ".hidden.jsonl", "{}")
    (tmp_path / "link.jsonl").symlink_to(FILES / "gsm8k.jsonl")
    assert [(r.file, r.number) for r in rows(tmp_path)] == [
        ("test.csv", 1),
        *(("train.jsonl", i) for i in range(1, 41)),
    ]

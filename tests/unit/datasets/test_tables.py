"""CSV, TSV and Parquet."""

import datetime
import tracemalloc
from collections import deque
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_core.datasets.read import rows
from platform_core.datasets.rows import Limits, Start
from platform_core.errors import Problem

FILES = Path(__file__).parent / "files"
CHAT = [{"role": "user", "content": "2+3="}, {"role": "assistant", "content": "5"}]


def table(
    tmp_path: Path, content: str, name: str = "a.csv"
) -> tuple[list[dict[str, object]], list[tuple[int, str]], list[str]]:
    path = tmp_path / name
    path.write_bytes(content.encode())
    source = rows(path)
    values = [r.value for r in source]
    return values, [(p.row, str(p.reason)) for p in source.problems.first], [str(n) for n in source.files[0].notes]


def test_values_stay_text_and_quotes_may_span_lines(tmp_path: Path) -> None:
    values, problems, notes = table(tmp_path, 'prompt,response\r\n"a, ""b""\r\nc",00123\r\n\r\nd,"e"\r\n')
    assert values == [{"prompt": 'a, "b"\nc', "response": "00123"}, {"prompt": "d", "response": "e"}]
    assert (problems, notes) == ([], [])


def test_real_tsv_without_a_header_gets_column_names_and_a_note() -> None:
    source = rows(FILES / "mgsm_zh.tsv")
    found = list(source)
    assert len(found) == 8
    assert found[0].value["column_2"] == "18"
    assert found[0].number == 1
    assert "looks like data, so the columns are named `column_1`, `column_2`" in str(source.files[0].notes[0])


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("prompt,response\n1,2\n", True),
        ("name,value\na,b\n", True),
        ("What is this?,A test\nWhy,So\n", False),
        ("a,math\nb,math\n", False),
        ("x,1\ny,2\n", False),
        ("word " * 20 + ",b\nc,d\n", False),
    ],
)
def test_header_is_told_from_data(tmp_path: Path, content: str, header: bool) -> None:
    values, _, notes = table(tmp_path, content)
    assert ("column_1" in values[0]) is not header
    assert bool(notes) is not header


def test_ragged_rows_are_named_by_number(tmp_path: Path) -> None:
    values, problems, _ = table(tmp_path, "prompt,response\na,b\nc\nd,e,f\ng,h\n")
    assert [v["prompt"] for v in values] == ["a", "g"]
    assert problems == [(2, "has 1 cells, but there are 2 columns"), (3, "has 3 cells, but there are 2 columns")]


def test_a_quote_that_never_closes_costs_one_row(tmp_path: Path) -> None:
    values, problems, _ = table(tmp_path, 'prompt,response\na,b\n"c,d\ne,f\ng,"h"\n')
    assert [v["prompt"] for v in values] == ["a", "e", "g"]
    assert problems == [(2, "opens a quote that never closes, or that swallows the rows after it")]


def test_many_stray_quotes_stay_cheap(tmp_path: Path) -> None:
    body = 'x,"y\n' * 3001
    _, problems, _ = table(tmp_path, "prompt,response\n" + body)
    assert problems


def test_a_quote_open_over_blank_lines_stays_cheap(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'prompt,response\n"a,b\n' + b"\n" * 60_000 + b"c,d\n")
    tracemalloc.start()
    try:
        found = list(rows(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [r.value["prompt"] for r in found] == ["c"]
    assert peak < 24 << 20


def test_other_odd_cells(tmp_path: Path) -> None:
    values, problems, notes = table(tmp_path, 'text,text,\na,b,c\n1\0,2,3\n"a"x,2,3\n')
    assert values == [{"text": "a", "text_2": "b", "column_3": "c"}]
    assert problems[0] == (2, "holds a NUL character")
    assert problems[1][1].startswith("has a quote in a wrong place")
    assert notes == ["Two columns are named `text`; the later one is read as `text_2`."]


def test_semicolons_are_found(tmp_path: Path) -> None:
    values, _, notes = table(tmp_path, "prompt;response\na, b;c\nd;e\n")
    assert values[0] == {"prompt": "a, b", "response": "c"}
    assert notes == ["Cells are separated by “;”."]


def test_long_csv_line_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,response\na,b\n" + "x" * 3_000_000 + ",y\nc,d\n")
    source = rows(path, limits=Limits(line_bytes=1 << 20))
    assert [r.number for r in source] == [1, 3]
    assert str(source.problems.first[0].reason).startswith("is 2.9 MiB long")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            *[
                st.text(
                    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), include_characters="\n\t"),
                    max_size=12,
                )
            ]
            * 2
        ).filter(lambda t: any(c.strip() for c in t)),
        min_size=1,
        max_size=12,
    )
)
def test_written_csv_reads_back(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]) -> None:
    import csv

    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([("prompt", "response"), *cells])
    source = rows(path)
    found = list(source)
    assert [(r.value["prompt"], r.value["response"]) for r in found] == cells
    if len(found) > 1:
        middle = found[len(found) // 2]
        assert list(rows(path, Start(middle.file, middle.offset, middle.number))) == found[len(found) // 2 :]


def test_parquet_with_nested_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    values = [
        {"messages": CHAT, "meta": {"n": i, "tags": ["x"]}, "score": float("nan"), "day": datetime.date(2024, 1, 2)}
        for i in range(900)
    ]
    pq.write_table(pa.Table.from_pylist(values), path, row_group_size=100)
    found = list(rows(path))
    assert found[450].value == {"messages": CHAT, "meta": {"n": 450, "tags": ["x"]}, "score": None, "day": "2024-01-02"}
    assert [r.number for r in rows(path, Start("a.parquet", -1, 555))] == list(range(555, 901))
    assert next(rows(path, Start("a.parquet", -1, 555))) == found[554]
    assert list(rows(path, Start("a.parquet", -1, 901))) == []


def test_parquet_under_another_name_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    pq.write_table(pa.table({"text": ["a", "b"], "raw": [b"\xff", b"ok"]}), path)
    source = rows(path)
    assert [r.value for r in source] == [{"text": "a", "raw": None}, {"text": "b", "raw": "ok"}]
    assert "holds Parquet, whatever its name says" in str(source.files[0].notes[0])
    assert str(source.problems.first[0].reason) == "holds bytes that are no text in raw: read as empty"


def test_damaged_and_oversized_parquet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * 1000 for _ in range(2000)]}), path)
    with pytest.raises(Problem, match="rows that large"):
        list(rows(path, limits=Limits(batch_bytes=100_000)))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Problem, match="damaged Parquet"):
        list(rows(path))


def test_parquet_text_that_is_no_utf_8_costs_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": [f"row number {i}" for i in range(50)]}), path, compression="none", use_dictionary=False
    )
    path.write_bytes(path.read_bytes().replace(b"row number 17", b"row number \xff\xff", 1))
    source = rows(path)
    assert [r.number for r in source] == [i for i in range(1, 51) if i != 18]
    assert [(p.row, str(p.reason)[:33]) for p in source.problems.first] == [(18, "holds a value that can't be read:")]


def test_parquet_bombs_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 400, pa.int32()), pa.array(["x" * (1 << 20)]))
    pq.write_table(pa.table({"text": one}), path)
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(Problem, match="made to fill a disk"):
            deque(rows(path, limits=Limits(free_bytes=64 << 20)), maxlen=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 160 << 20
    source = rows(path, limits=Limits(line_bytes=1 << 19, free_bytes=1 << 30))
    assert list(source) == []
    assert source.problems.total == 400

"""Reports, previews, uploads, imports, the trash."""

import ast
import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_core.datasets import service
from platform_core.datasets.check import check_dataset
from platform_core.datasets.inspect import inspect
from platform_core.datasets.read import rows
from platform_core.datasets.report import Report
from platform_core.errors import Problem
from tests.rows import write_rows

from .reading import sums

FILES = Path(__file__).parent / "files"


def test_report_says_what_a_file_holds(home: Path) -> None:
    path = home / "datasets" / "a.jsonl"
    lines = [
        json.dumps({"question": f"{a} eggs?", "answer": "x" * a, "level": a if a % 2 else None}) for a in range(1, 101)
    ]
    lines[9], lines[19] = "{broken", '{"question": "", "answer": "b"}'
    path.write_text("\n".join(lines) + "\n")
    seen: list[tuple[int, int]] = []
    made = service.report(home, "a.jsonl", lambda done, total: seen.append((done, total)))
    assert (made.rows, made.readable_rows, made.good_rows) == (100, 99, 98)
    assert (made.format, made.encoding, made.container) == ("prompt_response", "utf-8", "plain")
    assert made.columns == {"prompt": "question", "response": "answer"}
    assert [(p.row, str(p.reason)) for p in made.problems] == [
        (10, "is not JSON at character 2: Expecting property name enclosed in double quotes"),
        (20, "has an empty `question`"),
    ]
    assert sorted((str(c.reason)[:13], c.count) for c in made.problem_counts) == [
        ("has an empty ", 1),
        ("is not JSON a", 1),
    ]
    level = next(f for f in made.fields if f.name == "level")
    assert level.kinds == {"integer": 50}
    assert level.filled == pytest.approx(50 / 99)
    answer = next(one for one in made.lengths if one.field == "answer")
    assert (answer.least, answer.most, answer.rows) == (1, 100, 99)
    assert abs(answer.p50 - 50) <= 2
    assert sum(n for _, n in answer.histogram) == 99
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("file", ["gsm8k.jsonl", "belle.jsonl", "conversations.json", "mgsm_zh.tsv"])
def test_reports_survive_json(file: str) -> None:
    made = inspect(FILES / file)
    again = Report.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    with pytest.raises(ValueError, match="version"):
        Report.from_json({**made.to_json(), "version": 0})


def test_report_is_cached_until_the_file_changes(home: Path) -> None:
    write_rows(home / "datasets" / "a.jsonl", sums(3))
    assert service.get(home, "a.jsonl").report is None
    made = service.report(home, "a.jsonl")
    cached = service.get(home, "a.jsonl").report
    assert cached == made
    assert service.report(home, "a.jsonl").seconds == made.seconds
    write_rows(home / "datasets" / "a.jsonl", sums(4))
    assert service.get(home, "a.jsonl").report is None
    assert service.report(home, "a.jsonl").rows == 4
    for file in (home / "cache" / "datasets").iterdir():
        file.write_text("{half")
    assert service.report(home, "a.jsonl").rows == 4


def test_why_a_file_can_not_be_read_is_remembered_until_it_changes(home: Path) -> None:
    path = home / "datasets" / "a.jsonl"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert service.get(home, "a.jsonl").unreadable is None
    with pytest.raises(Problem, match="PNG image"):
        service.report(home, "a.jsonl")
    assert "PNG image" in str(service.get(home, "a.jsonl").unreadable)
    write_rows(path, sums(4))
    assert service.get(home, "a.jsonl").unreadable is None
    assert service.report(home, "a.jsonl").rows == 4


def test_file_without_rows_is_refused(home: Path) -> None:
    (home / "datasets" / "a.csv").write_text("prompt,response\n")
    with pytest.raises(Problem, match="holds no rows"):
        service.report(home, "a.csv")
    assert [d.name for d in service.list_datasets(home)] == ["a.csv"]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "jsonl.gz", "parquet", "folder"])
def test_preview_reads_any_page(home: Path, kind: str) -> None:
    values = [{"prompt": f"“{i}” 颗\n蛋", "response": str(i)} for i in range(1700)]
    path = home / "datasets" / f"a.{kind}"
    if kind == "csv":
        path.write_text("prompt,response\n" + "".join(f'"{v["prompt"]}",{v["response"]}\n' for v in values))
    elif kind == "json":
        path.write_text(json.dumps(values, indent=1, ensure_ascii=False))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(values), path, row_group_size=300)
    elif kind == "jsonl.gz":
        import gzip

        path.write_bytes(gzip.compress("".join(json.dumps(v) + "\n" for v in values).encode()))
    elif kind == "folder":
        write_rows(path / "1.jsonl", values[:700])
        write_rows(path / "2.jsonl", values[700:])
    else:
        write_rows(path, values)
    for offset in (0, 1, 499, 500, 501, 690, 1234, 1690, 1700, 5000):
        page = service.preview(home, path.name, offset, 20)
        assert [r.value for r in page] == values[offset : offset + 20], offset
    assert service.preview(home, path.name, 0, 0) == []


def test_preview_passes_by_broken_rows(home: Path) -> None:
    lines = [json.dumps(v) for v in sums(1500)]
    for i in (3, 499, 500, 501, 1200):
        lines[i] = "{broken"
    (home / "datasets" / "a.jsonl").write_text("\n".join(lines))
    good = [r.number for r in rows(home / "datasets" / "a.jsonl")]
    for offset in (0, 490, 500, 505, 1190):
        assert [r.number for r in service.preview(home, "a.jsonl", offset, 15)] == good[offset : offset + 15]


def test_preview_does_not_read_from_the_start(home: Path) -> None:
    path = home / "datasets" / "a.jsonl"
    write_rows(path, sums(2000))
    made = service.report(home, "a.jsonl")
    stat = path.stat()
    with path.open("r+b") as file:  # the first rows become unreadable, size and time stay
        file.write(b"\n" * made.index[3].offset)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert service.preview(home, "a.jsonl", 1500, 1)[0].value == {"prompt": "1500+1500=", "response": "3000"}


def test_listing_shows_data_only(home: Path, tmp_path: Path) -> None:
    top = home / "datasets"
    write_rows(top / "B.jsonl", sums(1))
    write_rows(top / "a" / "train.jsonl", sums(2))
    write_rows(top / "a" / "test.jsonl", sums(1))
    (top / "empty").mkdir()
    (top / ".x.jsonl.1234.part").write_text("x")
    (top / "notes.md").write_text("x")
    write_rows(tmp_path / "secret.jsonl", sums(1))
    (top / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    found = service.list_datasets(home)
    assert [(d.name, d.splits) for d in found] == [("a", ("test.jsonl", "train.jsonl")), ("B.jsonl", ())]
    assert found[0].size_bytes == sum(p.stat().st_size for p in (top / "a").iterdir())
    assert service.report(home, "a").file_rows == {"test.jsonl": 1, "train.jsonl": 2}
    assert service.list_datasets(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    "name", ["../a.jsonl", "a/b.jsonl", ".hidden.jsonl", "a b.jsonl", "", "a\n.jsonl", "x" * 200, "/etc/passwd"]
)
def test_odd_names_are_refused(home: Path, name: str) -> None:
    for call in (lambda: service.get(home, name), lambda: service.receive(home, name, [b"{}"])):
        with pytest.raises(Problem, match="can't be a name"):
            call()


def test_delete_and_restore(home: Path) -> None:
    write_rows(home / "datasets" / "a" / "train.jsonl", sums(3))
    entry = service.delete(home, "a")
    assert service.list_datasets(home) == []
    assert service.deleted(home) == [entry]
    write_rows(home / "datasets" / "a" / "train.jsonl", sums(1))
    with pytest.raises(Problem, match="exists again"):
        service.restore(home, entry.id)
    other = service.delete(home, "a")
    assert service.restore(home, entry.id).splits == ("train.jsonl",)
    assert [e.id for e in service.deleted(home)] == [other.id]
    for gone in (entry.id, "../datasets", "nothing"):
        with pytest.raises(Problem, match="not in the trash"):
            service.restore(home, gone)
    with pytest.raises(Problem, match="There is no dataset"):
        service.delete(home, "b")


def test_check_says_what_does_not_fit(home: Path) -> None:
    write_rows(home / "datasets" / "texts.jsonl", [{"text": "a"}])
    write_rows(home / "datasets" / "sums.jsonl", sums(3))
    (home / "datasets" / "mgsm.tsv").write_bytes((FILES / "mgsm_zh.tsv").read_bytes())
    write_rows(home / "datasets" / "blank.jsonl", [{"prompt": "a", "response": ""}])
    for name, to in (
        ("texts.jsonl", "pretrain"),
        ("sums.jsonl", "sft"),
        ("sums.jsonl", "grpo"),
        ("sums.jsonl", "evaluation"),
    ):
        check_dataset(home, name, to)
    with pytest.raises(Problem) as caught:
        check_dataset(home, "texts.jsonl", "sft")
    assert str(caught.value).startswith("texts.jsonl holds plain texts (`text`); SFT needs a prompt and a response")
    assert caught.value.fields == ("dataset",)
    with pytest.raises(Problem, match="belong to no known format"):
        check_dataset(home, "mgsm.tsv", "grpo")
    check_dataset(home, "mgsm.tsv", "grpo", {"prompt": "column_1", "answer": "column_2"})
    with pytest.raises(Problem, match="has no column `column_9`"):
        check_dataset(home, "mgsm.tsv", "grpo", {"prompt": "column_9", "answer": "column_2"})
    with pytest.raises(Problem) as caught:
        check_dataset(home, "blank.jsonl", "sft")
    assert str(caught.value) == "No row of blank.jsonl can be used for SFT: row 1 has an empty `response`."


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    room = Path(service.__file__).parent
    found = {
        name.split(".")[0]
        for file in room.glob("*.py")
        for node in ast.parse(file.read_text()).body
        for name in imported(node)
    }
    assert "orjson" in found
    assert not found & {"pandas", "pyarrow", "numpy", "torch", "datasets", "streamlit"}


def imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []

"""The end of a log: levels, search, control characters, and files that no memory could hold."""

import resource
import tracemalloc
from functools import partial
from pathlib import Path
from time import process_time

import pytest

from platform_core.errors import Problem
from platform_core.logs.lines import BLOCK, LONGEST, clean
from platform_core.logs.page import Query, ahead, tail
from platform_core.logs.places import find_place
from platform_core.metrics import writer as metrics_writer

from .log_texts import START, dated, log, texts

TRAINING = """\
2026-01-02 10:00:00,000 INFO lathe.runner: loading the model
2026-01-02 10:00:01,000 WARNING lathe.train: loss is high
2026-01-02 10:00:02,000 ERROR lathe.runner: Traceback (most recent call last):
  File "train.py", line 3, in train
ValueError: no such layer
2026-01-02 10:00:03,000 INFO lathe.runner: saving
"""


def test_the_newest_lines_come_oldest_first(tmp_path: Path) -> None:
    found = tail(log(tmp_path, "".join(f"line {i}\n" for i in range(10_000))), lines=3)
    assert [line.text for line in found.lines] == ["line 9997", "line 9998", "line 9999"]
    assert not found.complete
    assert found.size == 98_890


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_whole_short_log_is_complete(tmp_path: Path, ending: str) -> None:
    found = tail(log(tmp_path, "first\n\nlast" + ending))
    assert [line.text for line in found.lines] == ["first", "", "last"]
    assert found.complete
    assert found.read_from == 0


def test_an_empty_log_has_no_line(tmp_path: Path) -> None:
    assert tail(log(tmp_path, "")).lines == []


def test_a_traceback_stays_with_its_error(tmp_path: Path) -> None:
    path = log(tmp_path, TRAINING)
    assert [line.level for line in tail(path).lines] == ["info", "warning", "error", "error", "error", "info"]
    assert [t.split()[-1] for t in texts(path, level="error")] == ["last):", "train", "layer"]
    assert len(texts(path, level="warning")) == 4
    assert len(texts(path, level="info")) == 6


def test_errors_are_found_far_back(tmp_path: Path) -> None:
    path = log(tmp_path, TRAINING + "2026-01-02 10:00:04,000 INFO x: step\n" * 100_000)
    assert texts(path, level="error")[-1] == "ValueError: no such layer"


def test_search_looks_in_any_case_and_with_the_level(tmp_path: Path) -> None:
    path = log(tmp_path, TRAINING)
    assert texts(path, search="LOSS is") == ["2026-01-02 10:00:01,000 WARNING lathe.train: loss is high"]
    assert texts(path, search="lathe", level="error") == [TRAINING.splitlines()[2]]
    assert texts(path, search="no such word") == []
    assert texts(log(tmp_path, "größe\nGRÖSSE 3\n"), search="GRÖßE") == ["größe", "GRÖSSE 3"]


def test_lines_across_blocks_are_whole(tmp_path: Path) -> None:
    rows = [f"{i:07d} " + "x" * (i % 200) for i in range(3 * BLOCK // 100)]
    assert texts(log(tmp_path, "\n".join(rows)), lines=len(rows)) == rows
    assert texts(log(tmp_path, "\n".join(rows)), search="0000001 ") == [rows[1]]


def test_a_progress_bar_shows_its_last_state(tmp_path: Path) -> None:
    path = log(tmp_path, b"start\r\n 1%\r 50%\r100%\nend\r\n")
    assert texts(path) == ["start", "100%", "end"]
    bar = b"".join(b"\r%9d/1000000 [%s]" % (i, b"#" * 50) for i in range(20_000))
    assert texts(log(tmp_path, b"before\n" + bar + b"\nafter\n"))[-2:] == [f"{19999:9d}/1000000 [{'#' * 50}]", "after"]


def test_colours_go_and_control_characters_are_written_out(tmp_path: Path) -> None:
    path = log(tmp_path, "\x1b[31mred\x1b[0m \x1b]0;title\x07text\n\u202egnp.exe\x00\n<img src=x onerror=alert(1)>\n")
    assert texts(path) == ["red text", r"\u202egnp.exe\x00", "<img src=x onerror=alert(1)>"]
    assert clean("tab\tstays") == "tab\tstays"


def test_bytes_that_are_no_utf8_are_shown_as_such(tmp_path: Path) -> None:
    assert texts(log(tmp_path, b"ok \xff\xfe end\n\xe4\xb8")) == ["ok \ufffd\ufffd end", "\ufffd"]


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    for length in (LONGEST, LONGEST + 1, BLOCK + 5):
        found = texts(log(tmp_path, "a\n" + "y" * length + "\nb"))
        assert found[0] == "a"
        assert found[2] == "b"
        assert found[1] == "y" * min(length, LONGEST) + ("…" if length > LONGEST else "")


@pytest.mark.parametrize("options", [{}, {"level": "error"}, {"search": "boom"}])
def test_two_gigabytes_need_no_memory(tmp_path: Path, options: dict[str, str]) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.write(b"old ERROR x: gone\n")
        file.seek(2 * 2**30)
        file.write(b"\n2026 ERROR x: boom\n")
    tracemalloc.start()
    found = tail(path, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.lines[-1].text == "2026 ERROR x: boom"
    assert not found.complete
    assert found.size > 2 * 2**30
    assert peak < 4 * 2**20


def test_a_line_of_200_megabytes_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.write(b"before\n")
        file.seek(200 * 2**20)
        file.write(b"z\nafter\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = tail(path, budget=2**30)
    assert [line.text[:8] for line in found.lines] == ["before", r"\x00\x00", "after"]
    assert len(found.lines[1].text) <= 4 * LONGEST + 1
    assert found.complete
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_a_regular_expression_is_marked_and_has_the_lines_beside_it(tmp_path: Path) -> None:
    path = log(tmp_path, "".join(f"row {i}\n" for i in range(100)))
    found = tail(path, search=r"^row [35]0$", regex=True, context=2)
    assert [(line.text, line.context, line.gap) for line in found.lines] == [
        ("row 28", True, False), ("row 29", True, False), ("row 30", False, False), ("row 31", True, False),
        ("row 32", True, False), ("row 48", True, True), ("row 49", True, False), ("row 50", False, False),
        ("row 51", True, False), ("row 52", True, False),
    ]  # fmt: skip
    assert found.lines[2].found == (0, 6)
    assert [line.text for line in ahead(path, 0, 1, Query("debug", "row 30", context=1)).lines] == [
        "row 29", "row 30", "row 31",
    ]  # fmt: skip


def test_context_is_there_where_blocks_without_a_match_are_passed_over(tmp_path: Path) -> None:
    rows = [f"{i:07d} " + "x" * 60 for i in range(4 * BLOCK // 69)]
    edge = next(i for i in range(len(rows)) if 69 * i >= 2 * BLOCK) + 1
    rows[edge] = rows[edge][:30] + "needle" + rows[edge][36:]
    path = log(tmp_path, "\n".join(rows) + "\n")
    expected = rows[edge - 3 : edge + 4]
    assert [x.text for x in tail(path, search="needle", context=3).lines] == expected
    assert [x.text for x in ahead(path, 0, 5, Query("debug", "needle", context=3)).lines] == expected


def test_pages_forwards_and_backwards_show_every_line_once(tmp_path: Path) -> None:
    rows = [f"{i:07d} " + "x" * (i % 300) for i in range(5 * BLOCK // 150)]
    path = log(tmp_path, "\n".join(rows) + "\n")
    at, forwards = 0, list[str]()
    while at < path.stat().st_size:
        page = ahead(path, at, 700, Query(), budget=BLOCK + 17)
        forwards += [line.text for line in page.lines]
        assert page.read_to > at
        at = page.read_to
    assert forwards == rows
    backwards = list[str]()
    while at > 0:
        page = tail(path, 700, budget=BLOCK + 17, before=at)
        backwards = [line.text for line in page.lines] + backwards
        assert page.read_from < at
        at = page.read_from
    assert backwards == rows


@pytest.mark.parametrize(
    "bomb", [r"(a+)+$", r"(a|aa)+$", r"(?:a{1,60}){1,60}b", r"(.*)*b", r"(?:(?:a{0,99}){0,99}){0,99}b"]
)
def test_an_expression_that_never_ends_is_given_up(tmp_path: Path, bomb: str) -> None:
    path = log(tmp_path, "before\n" + "a" * 4000 + "!\nafter\n")
    began = process_time()
    found = tail(path, search=bomb, regex=True, seconds=0.2)
    assert process_time() - began < 3
    again = tail(path, search=bomb, regex=True, seconds=0.2, before=found.read_from)
    assert again.read_from < found.read_from or again.complete or found.read_from == 0


def test_what_is_no_expression_is_a_sentence(tmp_path: Path) -> None:
    for broken in ("(", "[a", "*", "(?P<n>a)(?P<n>b)(", "x" * 501):
        with pytest.raises(Problem):
            tail(log(tmp_path, "a\n"), search=broken, regex=True)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("22:00", 0), ("22:00:05", 1), ("23:00", 360), ("0:30", 900), ("2026-05-01 23:00", 360), ("2026-05-02", 720),
        ("2026-05-02T01:00:00", 1080), ("2025-01-01", 0), ("21:00", 360 * 23),
    ],
)  # fmt: skip
def test_a_time_is_found(tmp_path: Path, asked: str, line: int) -> None:
    path = log(tmp_path, "no time here\n" + dated(720 * 12))
    if "-" not in asked and line < 1000:  # of a shorter log: the last such time of day
        path = log(tmp_path, "no time here\n" + dated(1500))
    (first,) = ahead(path, find_place(path, tmp_path / "none", asked), 1, Query()).lines
    assert first.text.endswith(f"line {line}")


def test_a_step_is_found_by_when_it_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log(tmp_path, dated(5000))
    writer = metrics_writer.Writer(tmp_path / "metrics.sqlite")
    for step in range(0, 1000, 10):
        monkeypatch.setattr(metrics_writer, "now", partial(float, START.timestamp() + step))
        writer.metrics(step, {"loss": 1.0})
    writer.close()
    for asked in ("step 340", "340", " Step 335"):
        (first,) = ahead(path, find_place(path, tmp_path / "metrics.sqlite", asked), 1, Query()).lines
        assert first.text.endswith("line 34")
    with pytest.raises(Problem, match="has not been reached"):
        find_place(path, tmp_path / "metrics.sqlite", "step 200000")


@pytest.mark.parametrize("asked", ["", "soon", "25:00", "12:61", "2026-13-01", "step x", "; rm"])
def test_what_is_no_place_is_a_sentence(tmp_path: Path, asked: str) -> None:
    with pytest.raises(Problem):
        find_place(log(tmp_path, dated(10)), tmp_path / "none", asked)

"""The end of a log: levels, search, control characters, and files that no memory could hold."""

import resource
import tracemalloc
from pathlib import Path

import pytest

from platform_core.jobs.logs import BLOCK, LONGEST, clean, tail

TRAINING = """\
2026-01-02 10:00:00,000 INFO lathe.runner: loading the model
2026-01-02 10:00:01,000 WARNING lathe.train: loss is high
2026-01-02 10:00:02,000 ERROR lathe.runner: Traceback (most recent call last):
  File "train.py", line 3, in train
ValueError: no such layer
2026-01-02 10:00:03,000 INFO lathe.runner: saving
"""


def log(folder: Path, content: str | bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(path: Path, **options: object) -> list[str]:
    return [line.text for line in tail(path, **options).lines]


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

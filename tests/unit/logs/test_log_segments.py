"""Long logs packed into segments while they grow: no line is lost, no offset moves."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from platform_core.logs import file as log_file
from platform_core.logs.page import Query, ahead, tail
from platform_core.logs.places import find_place
from runners import log_rotation

from .log_texts import dated, log, texts


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (log_file, log_rotation):
        monkeypatch.setattr(module, "SEGMENT", 4 * 2**20)
    monkeypatch.setattr(log_rotation, "KEPT", 2**20)


@pytest.mark.usefixtures("small_segments")
def test_a_packed_log_is_smaller_and_reads_the_same(tmp_path: Path) -> None:
    path = log(tmp_path, dated(300_000))
    content, before = path.read_bytes(), path.stat().st_blocks
    segments = (len(content) - 2**20) // (4 * 2**20)
    assert log_rotation.rotate(path) == segments
    assert log_rotation.rotate(path) == 0
    assert path.stat().st_size == len(content)
    assert sum(p.stat().st_blocks for p in tmp_path.iterdir()) < before / 2
    packed = b"".join(gzip.decompress(p.read_bytes()) for p in sorted(tmp_path.glob("*.gz")))
    assert packed == content[: segments * 4 * 2**20]
    with log_file.LogFile(path) as read:
        assert b"".join(read.pieces()) == content
        assert read.read(4 * 2**20 - 7, 20) == content[4 * 2**20 - 7 :][:20]
    assert (
        texts(path, search="line 12345")
        == ["2026-05-03 08:17:30,000 INFO x: line 12345"]
        + [line for line in content.decode().splitlines() if "line 12345" in line][1:]
    )
    (first,) = ahead(path, find_place(path, tmp_path, "2026-05-03 08:17:30"), 1, Query()).lines
    assert first.text.endswith("line 12345")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("small_segments")
def test_a_log_is_packed_while_it_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    script = "import os, sys\nfd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
    script += "for i in range(400000): os.write(fd, b'%09d the quick brown fox jumps over a dog\\n' % i)"
    with subprocess.Popen([sys.executable, "-c", script, str(path)]) as writer:
        while writer.poll() is None:
            if path.exists():
                log_rotation.rotate(path)
                lines = tail(path, 50).lines[:-1]
                numbers = [int(line.text[:9]) for line in lines]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    with log_file.LogFile(path) as read:
        whole = b"".join(read.pieces()).splitlines()
    assert [int(line[:9]) for line in whole] == list(range(400_000))
    assert len(list(tmp_path.glob("log.*.gz"))) >= 3


@pytest.mark.usefixtures("small_segments")
def test_a_file_system_without_holes_keeps_the_log_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_rotation, "_punch", lambda *_: False)
    path = log(tmp_path, dated(300_000))
    assert log_rotation.rotate(path) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["log.txt"]


@pytest.mark.usefixtures("small_segments")
def test_a_rotation_that_was_killed_half_way_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log(tmp_path, dated(200_000))
    content = path.read_bytes()
    punch = log_rotation._punch
    monkeypatch.setattr(log_rotation, "_punch", lambda *_: punch(*_) if _[2] == 4096 else sys.exit("killed"))
    with pytest.raises(SystemExit):
        log_rotation.rotate(path)
    monkeypatch.undo()
    for module in (log_file, log_rotation):
        monkeypatch.setattr(module, "SEGMENT", 4 * 2**20)
    monkeypatch.setattr(log_rotation, "KEPT", 2**20)
    log_rotation.rotate(path)
    with log_file.LogFile(path) as read:
        assert b"".join(read.pieces()) == content
    assert path.stat().st_blocks * 512 < len(content)


@pytest.mark.usefixtures("small_segments")
def test_a_damaged_segment_is_an_error_and_no_wrong_line(tmp_path: Path) -> None:
    path = log(tmp_path, dated(200_000))
    log_rotation.rotate(path)
    packed = tmp_path / "log.0001.gz"
    packed.write_bytes(packed.read_bytes()[:-5000])
    with pytest.raises(OSError, match="damaged"), log_file.LogFile(path) as read:
        b"".join(read.pieces())
    assert tail(path, 5).lines[-1].text.endswith("line 199999")

"""Uploads and imports: whole or not there, under a safe name, from places that may be read."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from platform_core.datasets import service
from platform_core.datasets.containers import is_data_name
from platform_core.datasets.receive import tidy_name
from platform_core.errors import Problem
from tests.rows import write_rows

from .reading import left_behind, sums


@pytest.mark.parametrize(
    ("name", "tidy"),
    [
        ("train.jsonl", "train.jsonl"),
        ("名前.jsonl", "data.jsonl"),
        ("=my sums (2).csv.gz", "my-sums-2.csv.gz"),
        ("é" * 300 + ".jsonl", "e" * 114 + ".jsonl"),
        ("Größe é.jsonl", "Gro-e-e.jsonl"),
        ("../../etc/passwd", "data../../etc/passwd".replace("/", "-")),
        ("", "data"),
    ],
)
def test_files_of_any_name_get_one_that_may_be_used_here(home: Path, name: str, tidy: str) -> None:
    assert tidy_name(name) == tidy
    if is_data_name(tidy):
        assert service.receive(home, tidy_name(name), [b'{"text": "a"}\n']).name == tidy


def test_receive_is_whole_or_not_there(home: Path) -> None:
    seen: list[list[str]] = []

    def chunks() -> Iterator[bytes]:
        yield b'{"text": '
        seen.append([d.name for d in service.list_datasets(home)])
        yield b'"a"}\n'

    info = service.receive(home, "a.jsonl", chunks())
    assert seen == [[]]
    assert info.path.read_bytes() == b'{"text": "a"}\n'
    assert left_behind(home) == []


def test_receive_refuses_and_leaves_nothing(home: Path) -> None:
    service.receive(home, "a.jsonl", [b"first"])
    with pytest.raises(Problem, match="exists already"):
        service.receive(home, "a.jsonl", [b"second"])
    with pytest.raises(Problem, match="is empty"):
        service.receive(home, "b.jsonl", [b""])
    with pytest.raises(Problem, match="no ending of a data file"):
        service.receive(home, "b.bin", [b"x"])

    def cut() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        service.receive(home, "c.jsonl", cut())
    assert (home / "datasets" / "a.jsonl").read_bytes() == b"first"
    service.receive(home, "a.jsonl", [b"third"], replace=True)
    assert (home / "datasets" / "a.jsonl").read_bytes() == b"third"
    assert [p.name for p in (home / "datasets").iterdir()] == ["a.jsonl"]


def test_what_is_replaced_lies_in_the_trash(home: Path) -> None:
    service.receive(home, "a.jsonl", [b'{"text": "old"}\n'])
    service.receive(home, "a.jsonl", [b"\x00\x01 no data"], replace=True)
    (entry,) = service.deleted(home)
    service.delete(home, "a.jsonl")
    service.restore(home, entry.id)
    assert (home / "datasets" / "a.jsonl").read_text() == '{"text": "old"}\n'


def test_two_uploads_of_one_name_can_not_both_win(home: Path) -> None:
    def slow() -> Iterator[bytes]:
        yield b"slow"
        service.receive(home, "a.jsonl", [b"fast"])

    with pytest.raises(Problem, match="exists already"):
        service.receive(home, "a.jsonl", slow())
    assert (home / "datasets" / "a.jsonl").read_bytes() == b"fast"
    assert left_behind(home) == []


def test_full_disk_is_said_and_leaves_nothing(home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(Problem, match="The disk is full after"):
            service.receive(home, "a.jsonl", (b"x" * 100_000 for _ in range(50)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((home / "datasets").iterdir()) == []


def test_receive_async(home: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b'{"text":', b' "a"}'):
            await asyncio.sleep(0)
            yield part

    info = asyncio.run(service.receive_async(home, "a.jsonl", chunks()))
    assert info.size_bytes == 13
    with pytest.raises(Problem, match="exists already"):
        asyncio.run(service.receive_async(home, "a.jsonl", chunks()))


def test_register_copies_from_allowed_folders_only(home: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    write_rows(shelf / "a.jsonl", sums(2))
    write_rows(shelf / "many" / "data" / "train.jsonl", sums(3))
    write_rows(tmp_path / "secret.jsonl", sums(1))
    (shelf / "escape.jsonl").symlink_to(tmp_path / "secret.jsonl")
    assert service.register(home, shelf / "a.jsonl", allowed_roots=[shelf]).name == "a.jsonl"
    assert service.register(home, "a.jsonl", "b.jsonl", allowed_roots=[shelf]).size_bytes > 0
    folder = service.register(home, "many", allowed_roots=[shelf])
    assert folder.splits == ("data/train.jsonl",)
    for bad in ("../secret.jsonl", tmp_path / "secret.jsonl", "escape.jsonl", "/etc/passwd", "a\0.jsonl"):
        with pytest.raises(Problem):
            service.register(home, bad, "stolen.jsonl", allowed_roots=[shelf])
    with pytest.raises(Problem, match="exists already"):
        service.register(home, "many", allowed_roots=[shelf])
    with pytest.raises(Problem, match="does not exist"):
        service.register(home, "gone.jsonl", allowed_roots=[shelf])
    assert sorted(d.name for d in service.list_datasets(home)) == ["a.jsonl", "b.jsonl", "many"]
    assert left_behind(home) == []

"""Packed, cut and hostile files: what came before the damage is kept, a bomb fills nothing, nothing crashes."""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_core.datasets.read import rows
from platform_core.datasets.rows import Limits
from platform_core.errors import Problem
from tests.rows import jsonl

from .reading import FILES, SUMS, everything, refusal, write


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")


PACKED = {
    "plain": ("sums.jsonl", lambda data: data),
    "gzip": ("sums.jsonl.gz", gzip.compress),
    "zstd": ("sums.jsonl.zst", zstandard.ZstdCompressor().compress),
    "two zstd frames": (
        "s.jsonl.zst",
        lambda d: b"".join(zstandard.ZstdCompressor().compress(x) for x in (d[:99], d[99:])),
    ),
}


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_give_the_same_rows(tmp_path: Path, kind: str) -> None:
    name, pack = PACKED[kind]
    values, problems, _ = everything(write(tmp_path / name, pack(jsonl(SUMS).encode())))
    assert (values, problems) == (SUMS, [])


def test_zip_with_several_files_numbers_rows_within_each(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.jsonl", jsonl(SUMS))
        archive.writestr("../../evil.csv", "prompt,response\n1+1=,2\n")
        archive.writestr("__MACOSX/._train.jsonl", "x")
        archive.writestr("README.md", "hello")
    found = list(rows(path))
    assert [r.value for r in found] == [*SUMS, {"prompt": "1+1=", "response": "2"}]
    assert (found[0].file, found[0].number, found[-1].file, found[-1].number) == (
        "all.zip/train.jsonl",
        1,
        "all.zip/../../evil.csv",
        1,
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.zip"]


def test_a_png_named_jsonl_is_refused(tmp_path: Path) -> None:
    assert "a.jsonl is a PNG image, whatever its name says" in refusal(write(tmp_path / "a.jsonl", png()))


def test_a_pickle_named_jsonl_is_refused_unopened(tmp_path: Path) -> None:
    assert "pickle" in refusal(write(tmp_path / "a.jsonl", pickle.dumps(SUMS)))
    assert "pickle" in refusal(write(tmp_path / "b.jsonl.gz", gzip.compress(pickle.dumps(SUMS))))


def test_other_foreign_files_are_refused(tmp_path: Path) -> None:
    checkpoint, office = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(checkpoint, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with zipfile.ZipFile(office, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    assert "PyTorch checkpoint" in refusal(write(tmp_path / "a.jsonl", checkpoint.getvalue()))
    assert "save the sheet as CSV" in refusal(write(tmp_path / "a.csv", office.getvalue()))
    assert "binary data" in refusal(write(tmp_path / "b.csv", bytes(range(256)) * 40))
    assert "is not JSON: it starts with “hello”" in refusal(write(tmp_path / "c.jsonl", "hello\nworld\n"))


def test_gzip_that_is_cut_keeps_what_came_before(tmp_path: Path) -> None:
    packed = gzip.compress(jsonl(SUMS * 200).encode())
    values, problems, _ = everything(write(tmp_path / "a.jsonl.gz", packed[: len(packed) // 2]))
    assert values
    assert values == (SUMS * 200)[: len(values)]
    assert "the file is damaged from here on" in problems[-1][1]


def test_zstd_that_is_damaged_keeps_what_came_before(tmp_path: Path) -> None:
    many = [{"text": f"{i} {zlib.crc32(str(i).encode())}"} for i in range(60_000)]
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(jsonl(many).encode()))
    middle = len(packed) * 3 // 4
    packed[middle : middle + 40] = b"\xff" * 40
    values, problems, _ = everything(write(tmp_path / "a.jsonl.zst", bytes(packed)))
    assert 0 < len(values) < len(many)
    assert "the file is damaged from here on" in problems[-1][1]


@pytest.mark.parametrize("lost", [1, 3, 20, 200])
@pytest.mark.parametrize("checksum", [False, True])
def test_zstd_that_is_cut_is_said(tmp_path: Path, lost: int, checksum: bool) -> None:
    packed = zstandard.ZstdCompressor(write_checksum=checksum).compress(
        "".join(f'{{"text": "{zlib.crc32(str(i).encode())}"}}\n' for i in range(20_000)).encode()
    )
    _, problems, _ = everything(write(tmp_path / "a.jsonl.zst", packed[:-lost]))
    assert "the file is damaged from here on" in problems[-1][1]


def test_packed_files_damaged_from_the_start_are_refused(tmp_path: Path) -> None:
    packed = zstandard.ZstdCompressor().compress(jsonl(SUMS).encode())
    assert "damaged before its first row" in refusal(write(tmp_path / "a.jsonl.zst", packed[:-20]))
    assert "damaged before its first row" in refusal(write(tmp_path / "a.jsonl.gz", gzip.compress(b"{}")[:9]))


SMALL = Limits(free_bytes=1 << 20)
FLAT = (b'{"a": "' + b"x" * 9000 + b'"}\n') * 3000


def test_gzip_bomb_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", gzip.compress(FLAT, 9))
    assert path.stat().st_size < 100_000
    assert "made to fill a disk" in refusal(path, SMALL)


def test_zstd_and_zip_bombs_are_refused(tmp_path: Path) -> None:
    assert "made to fill a disk" in refusal(write(tmp_path / "a.jsonl.zst", zstandard.compress(FLAT)), SMALL)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", FLAT)
    assert "made to fill a disk" in refusal(tmp_path / "a.zip", SMALL)


def test_endless_output_is_refused_by_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", gzip.compress(jsonl(SUMS * 2000).encode()))
    assert "unpacks to more than" in refusal(path, Limits(unpacked_bytes=1 << 20))


def test_zip_members_that_overlap_or_are_locked_or_too_many(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            archive.writestr(f"{i}.jsonl", jsonl(SUMS))
    whole = path.read_bytes()
    assert "3 data files; at most 2" in refusal(path, Limits(members=2))
    first = whole.index(b"PK\x01\x02")
    second = whole.index(b"PK\x01\x02", first + 4)
    write(path, whole[: second + 42] + whole[first + 42 : first + 46] + whole[second + 46 :])
    assert "overlap" in refusal(path)
    write(path, whole[: first + 8] + b"\x01\x00" + whole[first + 10 :])
    assert "encrypted" in refusal(path)
    assert "damaged zip" in refusal(write(tmp_path / "b.zip", whole[:200]))
    assert "packed twice" in refusal(write(tmp_path / "c.jsonl.gz", gzip.compress(gzip.compress(b"{}"))))


SEEDS = {
    "a.jsonl": jsonl(SUMS).encode(),
    "a.json": json.dumps(SUMS, indent=1).encode("utf-16"),
    "a.csv": b'prompt,response\n"a, ""b""\nc",d\ne,f\n' * 5,
    "b.tsv": (FILES / "mgsm_zh.tsv").read_bytes(),
    "c.txt": "第一行\n第二行\n".encode("gb18030"),
    "a.jsonl.gz": gzip.compress(jsonl(SUMS).encode()),
    "a.jsonl.zst": zstandard.compress(jsonl(SUMS).encode()),
    "a.zip": None,
    "a.parquet": None,
}


def seed_bytes(name: str, folder: Path) -> bytes:
    if SEEDS[name] is not None:
        return SEEDS[name] or b""
    path = folder / name
    if name == "a.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.jsonl", jsonl(SUMS))
    else:
        pq.write_table(pa.Table.from_pylist(SUMS), path)
    return path.read_bytes()


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_of_any_kind_gives_rows_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(seed_bytes(name, folder))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)
    ):
        content[place] = byte
    start, end = data.draw(st.integers(0, 3)), data.draw(st.integers(0, len(content)))
    path = write(folder / name, bytes(content[start:] if end < 4 else content[:end]))
    sentence = ""
    try:
        found, problems, _ = everything(path)
    except Problem as problem:
        sentence = str(problem)
    else:
        assert all(isinstance(value, dict) for value in found)
        assert all(reason for _, reason in problems)
    assert not sentence or name in sentence

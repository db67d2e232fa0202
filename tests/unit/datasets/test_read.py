"""Whatever comes in as a data file: rows where there are rows, else a sentence; never a crash, never a silent loss."""

import codecs
import gzip
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_core.datasets.read import Rows, rows
from platform_core.datasets.rows import Limits, Start
from platform_core.errors import Problem

FILES = Path(__file__).parent / "files"
SUMS = [{"prompt": f"{a}+{a + 1}=", "response": str(2 * a + 1)} for a in range(40)]


def jsonl(values: list[dict[str, object]]) -> str:
    return "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in values)


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def everything(path: Path, limits: Limits | None = None) -> tuple[list[dict[str, object]], list[tuple[int, str]], Rows]:
    source = rows(path, limits=limits) if limits else rows(path)
    values = [row.value for row in source]
    return values, [(p.row, str(p.reason)) for p in source.problems.first], source


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(Problem) as caught:
        everything(path, limits)
    return str(caught.value)


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

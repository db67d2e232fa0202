"""Whole files, the path resolver, model folders, exact match."""

import os
import struct
from pathlib import Path

import pytest

from platform_core import files
from platform_core.errors import Problem
from platform_core.ids import is_id, new_id
from platform_core.models.service import check_model, list_models, read_model
from platform_core.rewards.exact_match import exact_match, extract
from platform_core.security.paths import check_name, resolve_inside
from platform_core.workspace.service import open_workspace
from tests.unit.core.folders import model_folder


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.json"
    files.write_whole(target, "old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_whole(target, "new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_publish_replaces_an_earlier_output(tmp_path: Path) -> None:
    for text in ("first", "second"):
        part = tmp_path / "part"
        part.mkdir()
        (part / "f").write_text(text)
        files.publish(part, tmp_path / "output")
    assert (tmp_path / "output" / "f").read_text() == "second"
    assert os.listdir(tmp_path) == ["output"]


def test_a_file_takes_the_disk_of_its_bytes_and_none_for_its_holes(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("wb") as file:
        file.seek(50 * 2**20)
        file.write(bytes(8192))
        file.flush()
        os.fsync(file.fileno())
    assert 8192 <= files.folder_size(tmp_path) < 2**20


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "inside/../../secret", "link/passwd", "a\x00b"])
def test_paths_stay_inside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (root / "link").symlink_to("/etc")
    with pytest.raises(Problem):
        resolve_inside(path, [root])
    assert resolve_inside("inside", [root]) == (root / "inside").resolve()


@pytest.mark.parametrize("name", ["", ".hidden", "../x", "a/b", "a\nb", "-rf", "x" * 200, "名", "a."])
def test_names_are_one_safe_component(name: str) -> None:
    with pytest.raises(Problem):
        check_name(name)


def test_ids_sort_by_time_and_are_recognised() -> None:
    made = [new_id() for _ in range(50)]
    assert all(is_id(i) for i in made)
    assert [i[:8] for i in made] == sorted(i[:8] for i in made)
    assert len(set(made)) == 50
    assert not is_id("../../etc/pw")


def test_models_are_found_and_read_from_their_headers(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    model_folder(workspace.models / "tiny")
    (workspace.models / "notes").mkdir()
    (found,) = list_models(workspace)
    assert (found.ref, found.parameters, found.dtypes, found.architecture) == ("tiny", 12, ("F32",), "LlamaForCausalLM")


def test_a_broken_header_does_not_hide_the_library(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"x")
    info = read_model(folder, "m", "m", None)
    assert info is not None
    assert info.parameters is None


def test_what_a_model_lacks_is_named(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    model_folder(workspace.models / "bare", tokenizer=False)
    (workspace.models / "pickled").mkdir()
    (workspace.models / "pickled" / "config.json").write_text("{}")
    (workspace.models / "pickled" / "tokenizer.json").write_text("{}")
    (workspace.models / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(Problem, match="bare lacks a tokenizer"):
        check_model(workspace, "bare")
    with pytest.raises(Problem, match="convert them to safetensors"):
        check_model(workspace, "pickled")
    with pytest.raises(Problem, match="There is no model “gone”"):
        check_model(workspace, "gone")
    with pytest.raises(Problem, match="outside the folders"):
        check_model(workspace, "/etc")


@pytest.mark.parametrize(
    ("completion", "reference", "how", "score"),
    [
        ("7+8=15 #15", "15", "marker", 1.0),
        ("#14 #15", "#15", "marker", 1.0),
        ("15", "15", "marker", 0.0),
        ("It is 1,234.", "1234", "last_number", 1.0),
        ("It is 15 or 16", "15", "last_number", 0.0),
        ("no number", "15", "last_number", 0.0),
        (" Paris ", "Paris", "whole", 1.0),
        ("#115", "15", "marker", 0.0),
    ],
)
def test_exact_match(completion: str, reference: str, how: str, score: float) -> None:
    assert exact_match(completion, reference, how) == score  # type: ignore[arg-type]


def test_extract_says_when_there_is_nothing() -> None:
    assert extract("", "last_number") is None
    assert extract("no marker", "marker") is None

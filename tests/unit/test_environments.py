"""Interpreters that jobs name: the base is there, others are added, asked, refused with a reason, and forgotten."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from platform_core.environments import service
from platform_core.environments.health import ENGINES, Health, ask, kept
from platform_core.environments.service import Environment
from platform_core.errors import Problem


def program(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_base_runs_what_the_platform_runs_on(tmp_path: Path) -> None:
    (base,) = service.environments(tmp_path)
    assert (base.name, base.python) == ("base", sys.executable)
    assert base.health.engines == ("hf", "verl")
    assert service.interpreter(tmp_path, None, "verl") == sys.executable
    assert service.get(tmp_path, "base") == base


def test_one_is_added_asked_again_and_forgotten(tmp_path: Path) -> None:
    added = service.add(tmp_path, "gpu", sys.executable, "eva")
    assert added.health.engines == ("hf", "verl")
    assert service.get(tmp_path, "gpu") == added
    assert service.check(tmp_path, "gpu").health.checked_at >= added.health.checked_at
    with pytest.raises(Problem, match="already"):
        service.add(tmp_path, "gpu", sys.executable)
    service.remove(tmp_path, "gpu")
    with pytest.raises(Problem, match="known are base"):
        service.get(tmp_path, "gpu")


def test_the_folder_of_a_virtual_environment_will_do(tmp_path: Path) -> None:
    assert service.add(tmp_path, "same", sys.prefix).python == str(Path(sys.prefix) / "bin" / "python")


@pytest.mark.parametrize(
    ("name", "python", "words"),
    [
        ("../x", sys.executable, "can't be a name"),
        ("base", sys.executable, "already"),
        ("x", "bin/python", "no whole path"),
        ("x", "/nothing/there", "no program"),
        ("x", "/etc/passwd", "no program"),
        ("x", "/bin/cat", "can't be used"),
    ],
)
def test_what_is_no_python_is_refused(tmp_path: Path, name: str, python: str, words: str) -> None:
    with pytest.raises(Problem, match=words):
        service.add(tmp_path, name, python)
    assert [e.name for e in service.environments(tmp_path)] == ["base"]


def test_a_program_that_lies_or_fails_is_told(tmp_path: Path) -> None:
    assert "does not answer as a Python" in str(ask(program(tmp_path, "echo hello")).error)
    assert "no space" in str(ask(program(tmp_path, "echo no space >&2; exit 3")).error)


def test_what_is_missing_is_named_with_the_way_out(tmp_path: Path) -> None:
    versions = kept({name.lower(): "1.0" for name in ENGINES["hf"]})
    one = Environment("old", "/opt/old/bin/python", Health("3.11.4", versions))
    assert one.health.engines == ("hf",)
    service.require(one, "hf")
    with pytest.raises(Problem, match=r"lacks verl, ray, .*environments check old") as problem:
        service.require(one, "verl")
    assert problem.value.fields == ("environment",)
    with pytest.raises(Problem, match=r"Python 3\.11 \(it has 3\.9\.1\)"):
        service.require(Environment("older", "/x", Health("3.9.1", versions)), "hf")


def test_an_environment_that_broke_is_told(tmp_path: Path) -> None:
    path = program(tmp_path, f'exec {sys.executable} "$@"')
    service.add(tmp_path, "mine", str(path))
    path.unlink()
    with pytest.raises(Problem, match="does not work: it can't be started"):
        service.require(service.check(tmp_path, "mine"), "hf")


def test_a_damaged_file_hides_one_environment_and_no_other(tmp_path: Path) -> None:
    service.add(tmp_path, "gpu", sys.executable)
    (tmp_path / "environments" / "bad.json").write_text("{")
    assert [e.name for e in service.environments(tmp_path)] == ["base", "gpu"]


def test_the_base_stays(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="can't be removed"):
        service.remove(tmp_path, "base")

"""Copies of a live run, and CSV."""

import csv
import io
import math
import sqlite3
from pathlib import Path

import pytest

from platform_core.errors import Problem
from platform_core.metrics.export import copy, export_csv
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer


def test_a_copy_of_a_live_run_is_whole_and_goes_on_by_itself(tmp_path: Path) -> None:
    path, target = tmp_path / "metrics.sqlite", tmp_path / "copies.sqlite"
    with Writer(path, every=1e6) as writer:
        for step in range(1300):
            writer.metrics(step, {"loss": float(step)})
        writer.sample(1, prompt="p")
        writer.flush()
        copy(path, target)
        writer.metrics(1300, {"loss": 0.0})
    assert sqlite3.connect(target).execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    with Writer(target) as other:
        other.metrics(1300, {"loss": 7.0})
    with Reader(target) as run:
        assert run.points("loss")[1].tolist() == [*map(float, range(1300)), 7.0]
        assert len(run.samples()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"metrics.sqlite", "copies.sqlite"}


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite").write_text("no database " * 1000)
    with pytest.raises(Problem, match=r"bad\.sqlite"):
        copy(tmp_path / "bad.sqlite", tmp_path / "target.sqlite")
    assert [file.name for file in tmp_path.iterdir()] == ["bad.sqlite"]


@pytest.mark.parametrize("closed", [True, False])
def test_csv_holds_every_step_once(tmp_path: Path, closed: bool) -> None:
    path, expected = tmp_path / "metrics.sqlite", []
    writer = Writer(path, every=1e6)
    for step in range(0, 3 * 20_000, 3):
        values = {"loss": step / 7, **({"=evil": math.inf} if step % 999 == 0 else {})}
        writer.metrics(step, values)
        expected.append([str(step), repr(values["=evil"]) if "=evil" in values else "", repr(values["loss"])])
    assert writer.close() if closed else writer.flush()
    stream = io.StringIO()
    export_csv(path, stream)
    writer.close()
    lines = list(csv.reader(io.StringIO(stream.getvalue())))
    assert lines[0] == ["step", "time", "'=evil", "loss"]
    assert [[line[0], *line[2:]] for line in lines[1:]] == expected
    assert all(float(line[1]) > 1e9 for line in lines[1:])

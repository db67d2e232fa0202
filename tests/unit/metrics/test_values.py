"""Which values are kept, left out or refused, and what the reader makes of them."""

import math
import sqlite3
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

NEVER = 1e6


@pytest.mark.parametrize("sealed", [False, True])
def test_nan_and_infinities_stay_and_what_is_no_number_is_left_out(tmp_path: Path, sealed: bool) -> None:
    path = tmp_path / "metrics.sqlite"
    given = [math.nan, math.inf, -math.inf, 1e300, -0.0, 2.0**60 + 2.0**8, float(np.float32(0.1)), 0.1]
    with Writer(path, every=NEVER) as writer:
        for step, value in enumerate(given):
            writer.metrics(step, {"a": value, "none": None, "text": "1.5", "list": [1, 2], "huge": 10**400})  # type: ignore[dict-item]
        writer.metrics(99, {"numpy": np.float32(0.5), "whole": 3, "decimal": Decimal("0.25"), "flag": True})
        assert writer.close() if sealed else writer.flush()
        with Reader(path) as run:
            assert run.names() == ["a", "decimal", "flag", "numpy", "whole"]
            np.testing.assert_array_equal(run.points("a")[1], given)
            assert math.copysign(1, run.points("a")[1][4]) == -1
            assert {name: value for name, (step, value) in run.latest().items() if step == 99} == {
                "numpy": 0.5, "whole": 3.0, "decimal": 0.25, "flag": 1.0,
            }  # fmt: skip
            curve = run.curve("a", 2)
            assert curve.bad.sum() == 3
            assert curve.maximum.max() == 1e300


def test_the_latest_value_may_be_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        writer.metrics(1, {"loss": 2.0})
        writer.metrics(2, {"loss": math.nan})
        writer.flush()
        with Reader(path) as run:
            step, value = run.latest()["loss"]
            assert (step, math.isnan(value), run.sparkline("loss")) == (2, True, [2.0])


@pytest.mark.parametrize("name", ['a "quoted" name', "损失", "back\\slash", "", "a.b[0]", "nul\0byte", "lone \ud800"])
def test_any_name_is_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "metrics.sqlite"
    stored = name.replace("\ud800", "?")
    with Writer(path, every=NEVER) as writer:
        writer.metrics(1, {name: 2.0})
        writer.flush()
        with Reader(path) as run:
            assert run.points(stored)[1].tolist() == [2.0]
    with Reader(path) as run:
        assert run.points(stored)[1].tolist() == [2.0]
        assert run.names() == [stored]


def test_what_can_never_be_stored_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    endless: dict[str, object] = {}
    endless["self"] = endless
    with Writer(path, every=NEVER) as writer:
        writer.metrics(None, {"a": 1.0})  # type: ignore[arg-type]
        writer.metrics(2**80, {"a": 1.0})
        writer.metrics(0, None)  # type: ignore[arg-type]
        writer.metrics(math.nan, {"a": 1.0})  # type: ignore[arg-type]
        writer.sample("no step")  # type: ignore[arg-type]
        writer.event("endless", "", data=endless)
        writer.vector("norm", 1, ["a", "b"], [1.0])
        assert not writer.truncate(None)  # type: ignore[arg-type]
        writer.metrics(3, {"a": 1.0, "_time": 5.0})
        assert writer.flush()
        assert (writer.rejected, writer.errors) == (8, 0)
        with Reader(path) as run:
            assert run.latest() == {"a": (3, 1.0)}
            assert run.times()[1][0] > 1e9


@pytest.mark.slow
@pytest.mark.parametrize("length", [700, 30_000, 400_000])
def test_a_spike_of_one_point_is_seen_at_every_zoom(tmp_path: Path, length: int) -> None:
    path, spike = tmp_path / "metrics.sqlite", length * 2 // 3
    with Writer(path, every=NEVER) as writer:
        for step in range(length):
            writer.metrics(step, {"loss": 1000.0 if step == spike else 1.0})
            if step % 50_000 == 0:
                writer.flush()
        writer.flush()
        with Reader(path) as run:
            width = length
            while width >= 2:
                low = spike - width // 3
                curve = run.curve("loss", 300, low, low + width)
                assert 1 <= len(curve.steps) <= 300
                at = int(np.argmax(curve.maximum))
                following = curve.steps[at + 1] if at + 1 < len(curve.steps) else low + width + 1
                assert curve.maximum[at] == 1000.0
                assert curve.steps[at] <= spike < following
                assert curve.steps[0] == max(0, low)
                assert curve.exact == (min(width, length - 1 - low, low + width) + 1 <= 300)
                width //= 2


def test_a_late_point_shows_in_a_long_curve_before_it_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(0, 200_000, 2):
            writer.metrics(step, {"loss": 1.0})
        writer.flush()
        writer.metrics(70_001, {"loss": -5.0})
        writer.metrics(70_000, {"loss": 7.0})
        writer.metrics(140_000, {"loss": 0.5})
        writer.flush()
        with Reader(path) as run:
            curve = run.curve("loss", 100)
    assert (curve.minimum.min(), curve.maximum.max(), (curve.minimum == 0.5).sum()) == (-5.0, 7.0, 1)
    assert len(curve.steps) == 100


def test_events_are_read_on_from_the_last_one_seen(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for number in range(10):
            level = "error" if number % 5 == 0 else "info"
            writer.event(
                "note", f"number {number} \ud800 损失", level=level, step=number, loss=math.nan, list=[1, (2,)]
            )
        writer.event("no step", "")
        writer.truncate(3)
        with Reader(path) as run:
            first = run.events(limit=4)
            rest = run.events(after_id=first[-1].id)
            errors = run.events(levels=["error", "critical"])
    assert [event.step for event in first + rest] == [*range(10), None]
    assert (first[0].text, first[0].kind) == ("number 0 ? 损失", "note")
    assert first[0].data == {"loss": "nan", "list": [1, [2]]}
    assert [event.step for event in errors] == [0, 5]


def test_samples_come_newest_first_by_step_page_and_search(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(20):
            writer.sample(step // 2, prompt=f'Say "{step}+1"\n100% 损失', answer=str(step + 1), reward=np.float32(0.5))
        writer.flush()
        with Reader(path) as run:
            newest = run.samples(limit=3)
            assert [sample.step for sample in newest] == [9, 9, 8]
            assert [sample.step for sample in run.samples(limit=2, before_id=newest[-1].id)] == [8, 7]
            assert [sample.data["answer"] for sample in run.samples(step=4)] == ["10", "9"]
            assert [sample.data["answer"] for sample in run.samples(search='SAY "7+')] == ["8"]
            assert len(run.samples(search="100% 损失")) == 20
            assert run.samples(search="prompt") == []
            assert newest[0].data == {"prompt": 'Say "19+1"\n100% 损失', "answer": "20", "reward": 0.5}
        writer.truncate(4)
        with Reader(path) as run:
            assert [sample.step for sample in run.samples(limit=2)] == [4, 4]


def test_vectors_make_a_matrix_also_when_the_names_change(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        numbers = [1.0, 2.0]
        writer.vector("norm", 10, ["a", "b"], numbers)
        numbers[0] = 99.0
        writer.vector("norm", 5, ["a", "b"], np.array([3.0, math.nan]))
        writer.flush()
        writer.vector("norm", 5, ["a", "b"], [4.0, 0.1])
        writer.vector("norm", 20, ["b", "c"], [6.0, 7.0])
        writer.vector("other", 5, ["z"], [0.0])
        writer.flush()
        with Reader(path) as run:
            vectors = run.vectors("norm")
            assert (vectors.names, vectors.steps.tolist()) == (["a", "b", "c"], [5, 10, 20])
            nan = math.nan
            np.testing.assert_array_equal(vectors.values, np.array([[4, 0.1, nan], [1, 2, nan], [nan, 6, 7]], "f4"))
            assert run.vectors("norm", 6, 15).steps.tolist() == [10]
            assert run.vectors("absent").values.shape == (0, 0)
        writer.truncate(10)
        with Reader(path) as run:
            assert run.vectors("norm").steps.tolist() == [5, 10]


def test_progress_is_merged_also_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        writer.progress(step=1, total_steps=9)
        writer.progress(step=2)
    with Writer(path, every=NEVER) as writer:
        writer.progress(phase="train", eta_seconds=math.inf)
    with Reader(path) as run:
        progress = run.progress()
    assert progress.pop("updated_at") > 1e9  # type: ignore[operator]
    assert progress == {"step": 2, "total_steps": 9, "phase": "train", "eta_seconds": "inf"}


def test_the_sqlite3_tool_reads_the_whole_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    writer = Writer(path, every=NEVER)
    for step in range(600):
        writer.metrics(step, {"loss": float(step), "rate": 0.5})
    writer.metrics(513, {"rate": math.nan})
    writer.flush()
    query = (
        "SELECT name, step0, step1, n, min, mean, max, last FROM curve; SELECT step, name, value FROM recent LIMIT 4;"
    )
    query += "SELECT name, last_step, last_value FROM key WHERE id > 0;"
    out = subprocess.run(["sqlite3", "-readonly", path, query], capture_output=True, text=True, check=True).stdout
    writer.close()
    assert out.splitlines()[1:] == [
        "loss|0|511|512|0.0|255.5|511.0|511.0", "rate|0|511|512|0.5|0.5|0.5|0.5", "512|loss|512.0", "512|rate|0.5",
        "513|loss|513.0", "513|rate|nan",
        "loss|599|599.0", "rate|599|0.5",
    ]  # fmt: skip
    assert sqlite3.connect(path).execute("SELECT sum(n) FROM curve WHERE name='loss'").fetchone()[0] == 600

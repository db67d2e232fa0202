"""The store against a plain dict, through late, repeated and sparse steps, cuts and reopening."""

import math
import random
from pathlib import Path

import numpy as np
import pytest

from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

Model = dict[str, dict[int, float]]
NEVER = 1e6  # seconds between the flushes of the thread: the tests flush by themselves


def assert_equals_model(path: Path, model: Model, rng: random.Random) -> None:
    with Reader(path) as run:
        assert run.names() == sorted(name for name, points in model.items() if points)
        for name, points in model.items():
            order = sorted(points)
            steps, values = run.points(name)
            assert steps.tolist() == order
            np.testing.assert_array_equal(values, [points[step] for step in order])
            if not order:
                continue
            step, value = run.latest()[name]
            assert step == order[-1]
            np.testing.assert_equal(value, points[step])
            low, high = sorted(rng.choices(range(-100, order[-1] + 100), k=2))
            assert run.points(name, low, high)[0].tolist() == [step for step in order if low <= step <= high]
            assert_curve_is_right(run, name, points, low, high, rng.choice([5, 50, 1000]))
            assert_curve_is_right(run, name, points, None, None, rng.choice([3, 40, 400]))


def assert_curve_is_right(
    run: Reader, name: str, points: dict[int, float], low: int | None, high: int | None, buckets: int
) -> None:
    inside = {
        step: value
        for step, value in sorted(points.items())
        if (low is None or step >= low) and (high is None or step <= high)
    }
    curve = run.curve(name, buckets, low, high)
    assert len(curve.steps) <= buckets
    assert curve.exact == (len(inside) <= buckets)
    if curve.exact:
        assert curve.steps.tolist() == list(inside)
        np.testing.assert_array_equal(curve.mean, list(inside.values()))
        return
    assert (np.diff(curve.steps) > 0).all()
    finite = [value for value in inside.values() if math.isfinite(value)]
    assert np.nanmin(curve.minimum) == min(finite)
    assert np.nanmax(curve.maximum) == max(finite)
    assert curve.bad.sum() == len(inside) - len(finite)
    assert curve.steps[0] == min(inside)
    for at, step in enumerate(curve.steps.tolist()):
        following = curve.steps[at + 1] if at + 1 < len(curve.steps) else math.inf
        first = inside[step]  # a bucket starts at a logged step
        if math.isfinite(first) and following > step:
            assert curve.minimum[at] <= first <= curve.maximum[at]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_equals_a_dict_through_late_steps_repeats_cuts_and_reopening(tmp_path: Path, seed: int) -> None:
    path, rng = tmp_path / "metrics.sqlite", random.Random(seed)
    writer, model, newest = Writer(path, every=NEVER), {f"key {number}": {} for number in range(4)}, 0
    for turn in range(240):
        for _ in range(60):
            back = 5000 if turn % 10 == 0 else 60
            step = max(0, newest + rng.randint(-back, 40))
            values = {}
            for name in rng.sample(sorted(model), rng.randint(1, 3)):
                values[name] = rng.choice(
                    [rng.gauss(0, 1), float(np.float32(rng.random())), rng.choice([math.nan, 1e300])]
                )
            writer.metrics(step, values)
            for name, value in values.items():
                model[name][step] = value
        newest += 40
        assert writer.flush()
        if turn % 70 == 69:
            kept = newest - rng.choice([0, 20, 600, 3000])
            assert writer.truncate(kept)
            model = {name: {s: v for s, v in points.items() if s <= kept} for name, points in model.items()}
            newest = kept
        if turn % 90 == 89:
            assert writer.close()
            writer = Writer(path, every=NEVER)
        if turn % 12 == 11:
            assert_equals_model(path, model, rng)
    assert writer.close()
    assert_equals_model(path, model, rng)
    assert (writer.errors, writer.rejected) == (0, 0)


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1024, 5000])
def test_dense_steps_come_back_whole_before_and_after_sealing(tmp_path: Path, count: int) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(count):
            writer.metrics(step, {"loss": step / 3, "rate": 1e-5})
            if step % 100 == 0:
                writer.flush()
        writer.flush()
        with Reader(path) as run:
            live = run.points("loss")
    with Reader(path) as run:
        closed = run.points("loss")
    for steps, values in (live, closed):
        assert steps.tolist() == list(range(count))
        assert values.tolist() == [step / 3 for step in range(count)]


def test_a_sparse_metric_fills_its_chunks(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(20_000):
            writer.metrics(step, {"loss": float(step), **({"evaluation": float(step)} if step % 100 == 0 else {})})
            if step % 1000 == 0:
                writer.flush()
    with Reader(path) as run:
        assert run._rows("SELECT count(*) FROM curve WHERE name='evaluation'")[0][0] <= 2
        assert run.points("evaluation")[0].tolist() == list(range(0, 20_000, 100))


def test_a_chunk_that_late_steps_fill_becomes_several(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in [*range(0, 512_000, 1000), *(step for step in range(6000) if step % 1000)]:
            writer.metrics(step, {"reward": float(step)})
            if step % 500 == 0:
                writer.flush()
    with Reader(path) as run:
        assert 512 <= run._rows("SELECT max(n) FROM curve WHERE name='reward'")[0][0] <= 1024
        expected = sorted({*range(6000), *range(0, 512_000, 1000)})
        assert run.points("reward")[0].tolist() == expected


def test_a_step_logged_twice_has_both_sets_of_values_and_the_later_of_each(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in (7, 8):
            writer.metrics(step, {"loss": 1.0, "rate": 2.0})
        writer.flush()
        writer.metrics(7, {"evaluation": 3.0, "loss": 0.5})
        writer.flush()
        with Reader(path) as run:
            assert run.points("loss")[1].tolist() == [0.5, 1.0]
    writer = Writer(path, every=NEVER)
    writer.metrics(7, {"loss": 0.25})
    writer.close()
    with Reader(path) as run:
        assert run.points("loss")[1].tolist() == [0.25, 1.0]
        assert run.points("evaluation")[1].tolist() == [3.0]
        assert run.points("rate")[1].tolist() == [2.0, 2.0]
        assert len(run.times()[0]) == 2

"""Numbers, durations, figures and results as the widgets make them."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from app import curve_axes, curves, format, live_chart, metric_words, page, results
from app.live_chart import Line, Zoom
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.1146, "0.1146"), (14056.94, "14,057"), (2e-5, "2e-5"), (1000, "1,000"), (663066.0, "663,066"),
        (1e12, "1e12"),
        (-0.0171, "−0.0171"), (0.0, "0"), (1.0, "1"), (0.97799, "0.978"), (math.nan, "NaN"), (-math.inf, "−∞"),
        (None, "–"), ("text", "text"), (True, "True"), (0.00012, "0.00012"), (-3.2e-7, "−3.2e-7"),
    ],
)  # fmt: skip
def test_numbers(value: object, said: str) -> None:
    assert format.number(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (65, "1 min 05 s"),
        (3840, "1 h 04 min"),
        (183_600, "2 d 3 h"),
        (None, "–"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert format.duration(seconds) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(1, 3, "a few seconds"), (100, 290, "2 to 5 min"), (170, 190, "about 3 min"), (40, 70, "40 s to 1 min")],
)
def test_a_forecast_has_its_range(low: float, high: float, said: str) -> None:
    assert format.remaining(low, high) == said


def test_ago() -> None:
    assert (format.ago(2), format.ago(200), format.ago(90_000)) == ("just now", "3 min ago", "1 d ago")


def decoded(packed: dict[str, str]) -> list[float]:
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()


def test_arrays_keep_their_values() -> None:
    assert decoded(live_chart.packed(np.array([1, 2, 3]))) == [1, 2, 3]
    assert decoded(live_chart.packed(np.array([2**40]))) == [2**40]
    assert decoded(live_chart.packed(np.array([0.5, np.nan], "f4")))[0] == 0.5
    assert live_chart.packed(np.zeros((2, 3), "f4"))["shape"] == "2, 3"


def test_smoothing_starts_at_the_first_value_and_passes_over_nan() -> None:
    made = live_chart.smoothed(np.array([4.0, 4.0, np.nan, 4.0]), 0.9)
    assert made.tolist() == pytest.approx([4.0] * 4)
    steps = live_chart.smoothed(np.array([0.0, 1.0]), 0.5)
    assert steps.tolist() == pytest.approx([0.0, 2 / 3])


def test_a_figure_has_a_band_where_points_are_summed_up() -> None:
    x = np.arange(10)
    y = x.astype(float)
    exact = live_chart.line_figure([Line(x, y)], x_title="step")
    assert [t["meta"]["part"] for t in exact["data"]] == ["line"]
    summed = live_chart.line_figure([Line(x, y, low=y - 1, high=y + 1, smooth=y)], x_title="step", log=True)
    assert [t["meta"]["part"] for t in summed["data"]] == ["edge", "band", "raw", "line"]
    assert summed["layout"]["yaxis"]["type"] == "log"
    json.dumps(summed)


def test_plotly_gets_no_tags_from_names() -> None:
    name = "<a href='javascript:1'>loss</a>"
    x = np.arange(3)
    line = live_chart.line_figure([Line(x, x.astype(float), name=name)], x_title="step")
    heat = live_chart.heat_figure(x, [name], np.ones((1, 3), "f4"), x_title="step")
    assert "<a" not in json.dumps([line["data"][0]["name"], heat["data"][0]["y"]])


def test_families_begin_with_what_matters() -> None:
    names = ["clip_ratio/low", "completions/mean_length", "entropy", "loss", "reward", "tokens_per_second", "x"]
    found = metric_words.families("grpo", names)
    assert next(iter(found.values())) == ["reward", "completions/mean_length", "entropy", "loss"]
    assert found["clip_ratio"] == ["clip_ratio/low"]
    assert found["Speed"] == ["tokens_per_second"]
    assert found["Other"] == ["x"]
    assert found["All"] == names
    assert metric_words.families("unknown", ["a"]) == {"Other": ["a"]}


def test_a_result_joins_scores_with_their_intervals() -> None:
    found = results.scores(
        {"n": 500, "exact_match": 0.978, "exact_match_low": 0.961, "exact_match_high": 0.988, "sampled_accuracy": 0.58,
         "sampled_low": 0.55, "sampled_high": 0.6, "exact_match/hard": 0.5}
    )  # fmt: skip
    assert [s.name for s in found] == ["exact_match", "sampled_accuracy", "exact_match/hard"]
    assert results.value_text(found[0]) == "97.8 %"
    assert results.interval_text(found[0]) == "96.1–98.8 %"
    assert (found[1].low, found[1].n) == (0.55, 500)
    assert results.interval_text(found[2]) == ""
    assert [s.name for s in results.scores({"loss": 0.1, "n": 3})] == ["loss", "n"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Runs of ten thousand and of a million steps."""
    made = {}
    for steps in (10_000, 1_000_000):
        made[steps] = tmp_path_factory.mktemp("runs") / f"{steps}.sqlite"
        with Writer(made[steps], every=0.05) as writer:
            for step in range(steps):
                writer.metrics(step, {"loss": 1000.0 if step == 5000 else 1.0 / (1 + step)})
                if step % 50_000 == 0:
                    writer.flush()
    return made


@pytest.mark.slow
def test_a_refresh_costs_the_same_at_a_million_steps(runs: dict[int, Path]) -> None:
    took = {}
    for steps, path in runs.items():
        for _round in range(3):
            began = process_time()
            with Reader(path) as run:
                curve = curves.read_curve(run, "loss", None)
                ruler = curve_axes.ruler_of(run, "time")
                assert ruler is not None
                curve_axes.placed(curve.steps, ruler)
            took[steps] = min(took.get(steps, 9.0), process_time() - began)
        assert len(curve.steps) <= curves.BUCKETS
        assert curve.maximum.max() == 1000.0, "a spike of one step is seen at every length"
    print({steps: f"{1000 * t:.1f} ms" for steps, t in took.items()})
    assert took[1_000_000] < 4 * took[10_000] + 0.02


def test_zooming_in_shows_exact_points(runs: dict[int, Path]) -> None:
    with Reader(runs[1_000_000]) as run:
        curve = curves.read_curve(run, "loss", (4_900, 5_100))
    inside = (curve.steps >= 4_900) & (curve.steps <= 5_100)
    assert curve.steps[inside].tolist() == list(range(4_900, 5_101))
    assert curve.mean[inside][100] == 1000.0
    assert len(curve.steps) <= curves.BUCKETS + 2 * curves.OUTSIDE
    assert curve.steps[0] == 0
    assert curve.steps[-1] > 990_000


def test_a_zoom_on_the_time_axis_becomes_steps(runs: dict[int, Path]) -> None:
    clock = curve_axes.Ruler(np.array([0, 100]), np.array([0.0, 600.0]), 60.0, "min")
    assert curve_axes.window(Zoom("time", 2.0, 4.0), "time", clock) == (19, 41)
    assert curve_axes.window(Zoom("time", 2.0, 4.0), "step", None) is None
    assert curve_axes.window(Zoom("step", 10, 20), "step", None) == (9, 21)
    assert curve_axes.window(None, "step", None) is None


@pytest.mark.parametrize("address", ["http://a.example/x", "HTTPS://a.example", "www.a.example", "ada@a.example"])
def test_addresses_in_a_persons_text_do_not_become_links(address: str) -> None:
    shown = page.plain(f"see {address}").replace("\\", "")
    assert address not in shown
    assert shown.replace("\u2060", "") == f"see {address}"


@pytest.mark.parametrize(
    "label", ["Batch size (rows)", "Learning-rate schedule", "can't be scored", "1.5e-3", "KL (k1)"]
)
def test_a_label_is_read_out_without_backslashes(label: str) -> None:
    assert page.plain(label) == label


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("1. a", "1\\. a"), ("1) a", "1\\) a"), ("- a", "\\- a"), ("a -- b", "a \\-\\- b"), ("a->b", "a\\-\\>b"),
        ("![a](b)", "!\\[a\\](b)"), ("[a]: b", "\\[a\\]\\: b"), (":red[a]", "\\:red\\[a\\]"), ("---", "\\-\\-\\-"),
    ],
)  # fmt: skip
def test_what_would_be_markup_is_escaped(markup: str, shown: str) -> None:
    assert page.plain(markup) == shown

"""Axes, outliers and marks of curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app import curve_axes
from app.live_chart import Line, Sign, Zoom, line_figure
from platform_core.jobs.looks import colour_of, looks
from platform_core.metrics.marks import Mark, bounded, told
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer


def test_tokens_and_epochs_are_axes_where_they_are_there(tmp_path: Path) -> None:
    with Writer(tmp_path / "m.sqlite") as writer:
        for step in range(10):
            writer.metrics(step, {"loss": 1.0, "num_tokens": 100.0 * step})
    with Reader(tmp_path / "m.sqlite") as run:
        ruler = curve_axes.ruler_of(run, "tokens")
        assert ruler is not None
        assert curve_axes.placed(np.array([0, 3, 9]), ruler).tolist() == [0, 300, 900]
        assert curve_axes.window(Zoom("tokens", 200, 600), "tokens", ruler) == (1, 7)
        assert curve_axes.window(Zoom("tokens", 200, 600), "tokens-log", ruler) is None
        assert curve_axes.ruler_of(run, "epoch") is None
        assert curve_axes.ruler_of(run, "step") is None
        assert "epoch" not in curve_axes.axes(run.names())


@pytest.mark.parametrize("log", [False, True])
def test_an_outlier_is_cut_and_marked_at_the_edge(log: bool) -> None:
    y = np.linspace(1.0, 2.0, 200)
    y[50], y[60] = 1e6, np.nan
    limits = curve_axes.inner_limits([y], log)
    assert limits is not None
    assert 0.8 < limits[0] < limits[1] < 2.3
    figure = line_figure([Line(np.arange(200), y)], x_title="step", log=log, limits=limits)
    shapes = [t["marker"]["symbol"] for t in figure["data"] if t["mode"] == "markers"]
    assert shapes == ["triangle-up"] or shapes == ["triangle-up", "triangle-down"]
    assert curve_axes.inner_limits([y[:5]], log) is None
    assert curve_axes.inner_limits([np.ones(50)], log) is None


def test_runs_of_a_chart_look_different_and_the_first_keeps_its_own_colour() -> None:
    ids = [f"run{at}" for at in range(20)]
    found = looks(ids)
    assert found[ids[0]] == (colour_of(ids[0]), "solid")
    assert len(set(found.values())) == len(ids)
    assert {dash for _colour, dash in list(found.values())[:7]} == {"solid"}


def test_what_a_mark_says_is_not_read_as_tags() -> None:
    figure = line_figure([], x_title="step", signs=[Sign(3.0, "!", "<b>x</b>")])
    assert figure["layout"]["meta"]["signs"][0]["text"] == "&lt;b&gt;x&lt;/b&gt;"


def test_marks_that_a_run_told(tmp_path: Path) -> None:
    with Writer(tmp_path / "m.sqlite") as writer:
        writer.event("checkpoint", "saved", step=20, at=20)
        writer.event("resumed", "again", step=20, reported=27, attempt=2)
        writer.event("packed", "else")
        writer.event("resumed", "again", step=30, reported=30, attempt=3)
    with Reader(tmp_path / "m.sqlite") as run:
        assert told(run, [2]) == [Mark("checkpoint", 20), Mark("retried", 20, 27), Mark("resumed", 30)]


def test_many_checkpoints_give_way() -> None:
    many = [Mark("checkpoint", step) for step in range(500)] + [Mark("alert", 7, about="x")]
    found = bounded(many)
    assert len(found) == 60
    assert Mark("alert", 7, about="x") in found
    assert Mark("checkpoint", 499) in found


def test_a_zoom_keeps_its_unit_of_time_while_the_run_grows() -> None:
    short, long = (
        curve_axes.Ruler(np.arange(2), np.array([0.0, s]), *u) for s, u in ((90, (1.0, "s")), (600, (60.0, "min")))
    )
    assert curve_axes.common_unit([short, long], None, "time") == (60.0, "min")
    assert curve_axes.common_unit([long], Zoom("time:s", 10, 20), "time") == (1.0, "s")
    assert curve_axes.common_unit([long], Zoom("time:s", 10, 20), "time-log") == (60.0, "min")
    assert curve_axes.common_unit([], None, "step") == (1.0, "")

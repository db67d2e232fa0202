"""Comparing jobs: differences, groups, marks with a way back, reports that hold hostile names, CSV that is exact."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.compare_charts import group_figure
from app.compare_tables import spread_text
from platform_core.database.engine import writing
from platform_core.errors import Problem
from platform_core.jobs import organize, store
from platform_core.jobs import service as jobs
from platform_core.jobs.compare import ABSENT, best, compare, grouped
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.mean_curve import mean_curve
from platform_core.jobs.store import Job
from platform_core.metrics.writer import Writer
from platform_core.reports.parts import Voice
from platform_core.reports.pdf import _shown
from platform_core.reports.service import render
from platform_core.workspace.service import Workspace
from tests.unit.app.runs import SPEC, add_job, write_metrics
from tests.unit.app.test_monitor import said

Open = Callable[..., AppTest]
HOSTILE = "<script>alert(1)</script> 微调 =1+1 \u202eevil " + "x" * 150


def run(workspace: Workspace, loss: float, name: str = "run", **settings: object) -> Job:
    job = add_job(workspace, "completed", name=name, steps=3, result={"metrics": {"loss": loss, "n": 5}})
    with writing(workspace.engine) as connection:
        store.update_job(connection, job.id, spec={**SPEC, **settings})
    write_metrics(workspace, job, 3)
    return jobs.get(workspace, job.id)


def test_only_settings_that_differ_are_told_and_unknown_ids_leave_the_rest(workspace: Workspace) -> None:
    one = run(workspace, 0.5, learning_rate=1e-3, seed=1)
    two = run(workspace, 0.4, learning_rate=2e-3)
    shown = compare(workspace, [one.id, "nothing", two.id, one.id])
    assert [r.job.id for r in shown.runs] == [one.id, two.id]
    assert {r.name: r.values for r in shown.different} == {"learning_rate": [1e-3, 2e-3], "seed": [1, ABSENT]}
    assert "nothing" in str(shown.left_out[0])
    assert best(shown.runs, "loss") == [two.id]


def test_no_run_is_best_on_other_data(workspace: Workspace) -> None:
    one, two = run(workspace, 0.5, dataset="a.jsonl"), run(workspace, 0.4, dataset="b.jsonl")
    assert best(compare(workspace, [one.id, two.id]).runs, "loss") == []


def test_groups_have_n_mean_and_sample_deviation(workspace: Workspace) -> None:
    made = [run(workspace, loss, learning_rate=rate) for loss, rate in ((1.0, 1e-3), (3.0, 1e-3), (5.0, 2e-3))]
    found = grouped(compare(workspace, [j.id for j in made]), "learning_rate", "loss")
    assert [(g.label, g.n, g.mean, g.sd) for g in found] == [(1e-3, 2, 2.0, 2**0.5), (2e-3, 1, 5.0, None)]


def test_a_share_is_read_in_per_cent_in_tables_and_on_axes(workspace: Workspace) -> None:
    made = [run(workspace, 1.0, learning_rate=1e-3), run(workspace, 3.0, learning_rate=1e-3)]
    groups = grouped(compare(workspace, [j.id for j in made]), "learning_rate", "loss")
    for metric, shape in (("mean_token_accuracy", ".4~p"), ("loss", ".4~g")):
        made_of = group_figure("learning_rate", "Learning rate", groups, metric)
        assert all(f"%{{y:{shape}}}" in trace["hovertemplate"] for trace in made_of["data"])
        assert made_of["layout"]["yaxis"].get("tickformat") == (shape if metric != "loss" else None)
    assert spread_text("mean_token_accuracy", 0.0312) == "3.1 %"
    assert spread_text("loss", None) == "–"


def test_marks_are_found_and_put_back(workspace: Workspace) -> None:
    before = run(workspace, 1.0)
    organize.star(workspace, before.id)
    organize.tag(workspace, before.id, [" 基线 ", "LR-sweep", "lr-sweep", "50%_x"])
    organize.archive(workspace, before.id)
    for tag in ("基线", "lr-sweep", "50%_x"):
        assert [j.id for j in jobs.list_jobs(workspace, tag=tag, starred=True, archived=True)] == [before.id]
    assert jobs.list_jobs(workspace, tag="50", archived=True) == []
    assert jobs.list_jobs(workspace, archived=False) == []
    assert organize.tags_in_use(workspace) == ["50%_x", "lr-sweep", "基线"]
    assert organize.put_back(workspace, before) == before
    with pytest.raises(Problem):
        organize.tag(workspace, before.id, ["a,b"])


def test_reports_show_hostile_names_as_text(workspace: Workspace) -> None:
    job = run(workspace, 0.5, name=HOSTILE[:200])
    organize.write_note(workspace, job.id, "</p><img src=x onerror=alert(2)>")
    page = b"".join(render(workspace, [job.id], "html", Voice())).decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "微调" in page
    assert "default-src 'none'" in page
    both = render(workspace, [job.id, run(workspace, 1.0).id], "pdf", Voice())
    assert b"".join(both).startswith(b"%PDF-")


def test_csv_gives_back_every_value_exactly_and_no_formula(workspace: Workspace) -> None:
    job, values = run(workspace, 0.5, name="=cmd()"), [0.1 + 0.2, 1e-300, float("nan"), -1.5]
    with Writer(metrics_file(workspace, job)) as writer:
        for step, value in enumerate(values, 10):
            writer.metrics(step, {"=evil": value})
    text = b"".join(render(workspace, [job.id], "csv", Voice())).decode()
    found = [float(row["'=evil"]) for row in csv.DictReader(io.StringIO(text)) if row["'=evil"]]
    assert [repr(v) for v in found] == [repr(v) for v in values]
    long = b"".join(render(workspace, [job.id, run(workspace, 1.0).id], "csv", Voice())).decode()
    assert {row["name"] for row in csv.DictReader(io.StringIO(long))} == {"'=cmd()", "run"}


def test_a_mean_curve_counts_each_run_only_where_it_has_points() -> None:
    x = np.arange(4.0)
    found = mean_curve([(x, x), (x[:3], np.array([2.0, np.nan, 4.0])), (x[:0], x[:0])])
    assert found.n == 2
    assert found.mean.tolist() == [1.0, 2.0, 3.0, 3.0]
    assert found.sd.tolist() == pytest.approx([2**0.5, 2**0.5, 2**0.5, 0.0])


def test_what_a_pdf_cannot_show_is_told() -> None:
    assert _shown("a\u202e \u05d0 \u2082 \U0001f680 微") == "a \\u05d0 2 \\U0001f680 微"


def test_the_page_compares_what_the_address_names(opened: Open, workspace: Workspace) -> None:
    one, two = run(workspace, 0.5, learning_rate=1e-3), run(workspace, 0.4, learning_rate=2e-3)
    at = opened("compare", jobs=f"{one.id},{two.id},gone")
    assert not at.exception
    assert "broke" not in said(at)
    assert at.multiselect(key="compare.runs").value == [one.id, two.id]
    assert any("gone" in warning.value for warning in at.warning)
    assert at.selectbox(key="x").value == "learning_rate"


def test_without_runs_the_page_says_what_to_do(opened: Open, workspace: Workspace) -> None:
    assert "No runs chosen" in said(opened("compare"))

"""The demo on a page: start it, its stages while it runs, its result, and a sum for its three models."""

from __future__ import annotations

from typing import Any, NoReturn

import streamlit as st

from app.curves import main_curve
from app.format import duration, share, share_interval
from app.page import as_problem, go, guarded, trouble, workspace
from app.samples import record_cards
from app.stages import stage_strip
from app.table import Column, Row, table, words
from app.words import _, say
from platform_core.demo import service as demo
from platform_core.errors import Text, text
from platform_core.evaluation.scores import Score, scores
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.states import ACTIVE, STARTABLE
from platform_core.jobs.store import Job
from platform_core.rewards.exact_match import extract
from platform_core.workspace.service import Workspace

SEED = 0
ASKED = "demo.asked"
MODELS: dict[str, tuple[Text, Text]] = {
    "base": (text("Base"), text("After pretraining: it has seen texts with sums, but nobody asked it.")),
    "sft": (text("SFT"), text("After supervised fine-tuning on worked answers.")),
    "grpo": (text("GRPO"), text("After reinforcement: right answers were rewarded.")),
}


def begin() -> NoReturn:
    """Queue the demo and go where it can be watched."""
    made = demo.start_demo(workspace(), SEED)
    first = next((job for job in made if job.state != "completed"), made[-1])
    go("monitor", job=first.id, follow="1")


def demo_panel(place: Workspace, group: str) -> None:
    """The newest demo: its stages, and its curve while it runs or its result once it is finished."""
    stages = demo.demo_jobs(place, group)
    with st.container(border=True, key="demo-strip"):
        opened = stage_strip(list(stages.items()), key="home.stages")
    if opened is not None:
        go("monitor", job=opened)
    running = next((job for job in stages.values() if job.state in ACTIVE), None)
    if running is not None:
        with guarded():
            moving(place, running)
        return
    stuck = any(job.state in STARTABLE for job in stages.values())
    if stuck and st.button(_("Go on with the demo"), icon=":material/play_arrow:", type="primary", key="demo.on"):
        begin()


def moving(place: Workspace, job: Job) -> None:
    """The curve of the stage that runs now."""
    main_curve(job, metrics_file(place, job), key=f"home.{job.id}")


def demo_result(place: Workspace, group: str) -> None:
    """How well base, SFT and GRPO do on sums they never saw, each number with its interval and n."""
    result = demo.demo_result(place, group)
    found = demo.scores(place, group)
    if result is None or not found:
        return
    st.caption(
        _(
            "Share of sums that each model solves; none had seen them before. Seven jobs in {time}, seed {seed}.",
            time=duration(result["seconds"]),
            seed=result["seed"],
        )
    )
    columns = [
        Column("model", _("Model"), kind="long"),
        Column("greedy", _("Exact match"), "progress", hint=_("Greedy: the most probable token each time.")),
        Column("sampled", _("Sampled accuracy"), "progress", hint=_("Four answers a sum, drawn at temperature 1.")),
        Column("n", _("Sums"), kind="number"),
    ]
    table(columns, [score_row(name, metrics) for name, metrics in found.items()], key="home.result")


def score_row(name: str, metrics: dict[str, Any]) -> Row:
    """One model with its two scores."""
    by_name = {score.name: score for score in scores(metrics)}
    title, hint = MODELS[name]
    return Row(
        name,
        {
            "model": words(say(title), say(hint)),
            "greedy": score_cell(by_name.get("exact_match")),
            "sampled": score_cell(by_name.get("sampled_accuracy")),
            "n": words(str(metrics.get("n", ""))),
        },
    )


def score_cell(score: Score | None) -> dict[str, Any] | None:
    """A share with its interval and a bar."""
    if score is None or not isinstance(score.value, int | float):
        return None
    bounds = "" if score.low is None or score.high is None else f"  ({share_interval(score.low, score.high)})"
    return {"text": share(float(score.value)) + bounds, "share": float(score.value), "colour": "blue"}


def try_a_sum(place: Workspace, group: str) -> None:
    """Type a sum, see what base, SFT and GRPO answer, side by side."""
    with st.form("demo.ask", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        asked = st.text_input(_("Try a sum"), value="47+38=", max_chars=20, key="demo.sum", width=180)
        pressed = st.form_submit_button(_("Ask the three models"), icon=":material/send:", key="demo.send")
    if pressed:
        st.session_state.pop(ASKED, None)
        with st.spinner(_("Asking. The first question loads the models, which takes some seconds."), show_time=True):
            try:
                st.session_state[ASKED] = (asked, demo.ask(place, group, asked or ""))
            except Exception as error:
                trouble(as_problem(error))
    if ASKED in st.session_state:
        question, answers = st.session_state[ASKED]
        record_cards([answer(name, said, question) for name, said in answers.items()], key="demo.answers")


def answer(name: str, said: str, asked: str) -> dict[str, Any]:
    """One model's answer, marked right or wrong."""
    left, _plus, right = asked.replace(" ", "").rstrip("=").partition("+")
    given = extract(said, "marker")
    correct = given == str(int(left) + int(right))
    mark = {"icon": "check_circle", "colour": "green", "word": _("right")}
    if not correct:
        mark = {"icon": "cancel", "colour": "red", "word": _("wrong")}
    texts = [[_("Asked"), asked], [_("Answer"), said or _("(nothing)")]]
    return {"title": say(MODELS[name][0]), "mark": mark, "facts": [], "texts": texts}

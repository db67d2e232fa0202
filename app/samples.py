"""What a model read and wrote while it was trained or judged: prompt, answer, reference, reward. Text only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import streamlit as st

from app.format import number
from app.live_chart import heat_figure, live_chart
from app.page import guarded
from app.words import _, say
from platform_core.errors import Text, text
from platform_core.jobs.looks import colour_of
from platform_core.jobs.store import Job
from platform_core.logs.lines import clean
from platform_core.metrics.reader import Reader, Sample
from platform_core.metrics.rewards import reward_shares

STATIC = Path(__file__).with_name("static")
PAGE = 12
LONGEST = 20_000
LABELS: dict[str, Text] = {
    "prompt": text("Prompt"),
    "completion": text("Answer"),
    "reference": text("Reference"),
    "answer": text("Extracted"),
    "category": text("Category"),
}
FACTS: dict[str, Callable[[str], str]] = {
    "reward": lambda value: _("reward {value}", value=value),
    "advantage": lambda value: _("advantage {value}", value=value),
    "length": lambda value: _("{value} tokens", value=value),
    "mode": lambda value: value,
    "draw": lambda value: _("draw {value}", value=value),
    "question": lambda value: _("question {value}", value=value),
}

REWARDED = frozenset(("reward", "greedy_reward", "sampled_reward"))
"""Metrics of jobs whose samples have a reward."""
DRAWN = ("correct", "rewards", "truncated")
SEARCH, LEAST, MOST = "samples.search", "samples.least", "samples.most"
MOST_PROMPTS = 5000
"""Different prompts among which the followed one is looked for."""

_records = st.components.v2.component(
    "lathe_records",
    html='<div class="root">\n</div>',
    css=(STATIC / "marks.css").read_text("utf-8") + (STATIC / "records.css").read_text("utf-8"),
    js=(STATIC / "records.js").read_text("utf-8"),
)


def samples(job: Job, path: Path) -> None:
    """The samples that fit a search and a range of rewards, or one prompt through the training; a page at a time.

    Raises Problem.
    """
    followed = st.query_params.get("prompt")
    with Reader(path) as run:
        wanted = following(run, followed) if followed else sifted(run)
        count = PAGE * int(st.session_state.get("samples.pages", 1))
        found = run.samples(limit=count + 1, **wanted)
        if not followed:
            with guarded():
                reward_picture(job, run)
    if not found:
        narrowed = any(value not in (None, (None, None)) for value in wanted.values())
        st.caption(
            _("No sample fits: change the search or the rewards.")
            if narrowed
            else _("No samples: this job has shown none of its texts (yet).")
        )
        return
    shown_now = found[:count]
    if followed and len({s.step for s in shown_now}) == 1:
        st.caption(_("It has come once so far: prompts come again with each pass over the dataset."))
    opened = record_cards([record(s, followed is None) for s in shown_now], key=f"samples.{job.id}")
    chosen = next((s for s in shown_now if str(s.id) == opened), None)
    if chosen is not None and chosen.data.get("prompt"):
        follow(prompt_name(str(chosen.data["prompt"])))
        st.rerun(scope="fragment")
    if len(found) > count and st.button(_("Show more"), icon=":material/expand_more:", key="samples.more"):
        st.session_state["samples.pages"] = count // PAGE + 1
        st.rerun(scope="fragment")


def sifted(run: Reader) -> dict[str, Any]:
    """What search and rewards are asked for, newest first; both are part of the address."""
    for name, query in ((SEARCH, "q"), (LEAST, "least"), (MOST, "most")):
        asked = st.query_params.get(query, "")
        if asked != st.session_state.get(f"seen.{name}"):
            st.session_state[f"seen.{name}"] = asked
            st.session_state[name] = asked if name == SEARCH else as_number(asked)
    with st.container(horizontal=True, vertical_alignment="bottom", key="sample-controls"):
        search = st.text_input(
            _("Search"), key=SEARCH, type="search", placeholder=_("Words in prompt, answer or reference"), live=True,
            on_change=keep, args=(SEARCH, "q"),
        )  # fmt: skip
        low = high = None
        if not REWARDED.isdisjoint(run.names()):
            low = st.number_input(
                _("Reward from"), key=LEAST, value=None, step=0.1, format="%g", width=130, on_change=keep,
                args=(LEAST, "least"),
            )  # fmt: skip
            high = st.number_input(
                _("Reward to"), key=MOST, value=None, step=0.1, format="%g", width=130, on_change=keep,
                args=(MOST, "most"),
            )  # fmt: skip
    return {"search": search or None, "reward": (low, high)}


def following(run: Reader, name: str) -> dict[str, Any]:
    """All samples of one prompt from the first step on, with the way back."""
    prompts = {prompt_name(p): p for p in run.prompts(MOST_PROMPTS)}
    with st.container(horizontal=True, vertical_alignment="center", key="sample-follow"):
        st.markdown(f":material/timeline: {_('One prompt through the training, oldest first')}", width="stretch")
        if st.button(_("All samples"), icon=":material/arrow_back:", key="samples.back"):
            follow(None)
            st.rerun(scope="fragment")
    return {"prompt": prompts.get(name, ""), "oldest_first": True}


def follow(name: str | None) -> None:
    """Put the prompt to follow into the address, or take it out."""
    st.session_state.pop("samples.pages", None)
    if name is None:
        st.query_params.pop("prompt", None)
    else:
        st.query_params["prompt"] = name


def prompt_name(prompt: str) -> str:
    """A short name of a prompt for the address."""
    return sha256(prompt.encode("utf-8", "replace")).hexdigest()[:12]


def keep(name: str, query: str) -> None:
    """Write what a person has just asked for into the address."""
    value = st.session_state[name]
    if value in (None, ""):
        st.query_params.pop(query, None)
    else:
        st.query_params[query] = f"{value:g}" if isinstance(value, float) else str(value)
    st.session_state[f"seen.{name}"] = st.query_params.get(query, "")
    st.session_state.pop("samples.pages", None)


def as_number(asked: str) -> float | None:
    """The number that an address holds, or None."""
    try:
        found = float(asked)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def reward_picture(job: Job, run: Reader) -> None:
    """How the rewards of a batch are spread, over the steps; drawn when it is opened."""
    last = run.latest().get("reward")
    if last is None or not run.vectors("reward", high=-(2**62)).names:
        return
    opened = st.expander(
        _("Rewards over the steps"), icon=":material/bar_chart:", key="samples.rewards", on_change="rerun"
    )
    if not opened.open:
        return
    with opened:
        spread = reward_shares(run, last[0], int(job.spec.get("logging_steps") or 1))
        if spread is None:
            st.caption(_("No reward was reported in these steps."))
            return
        figure = heat_figure(
            spread.steps, spread.labels(), 100 * spread.shares, x_title=_("step"), colour=colour_of(job.id)
        )
        figure["layout"]["yaxis"]["type"] = "category"
        figure["data"][0]["hovertemplate"] = "%{y}, %{x}: %{z:.0f} %<extra></extra>"
        figure["data"][0]["colorbar"] |= {"ticksuffix": " %"}
        live_chart(
            _("Share of a batch's completions by reward"), figure, key=f"chart.{job.id}.rewards", height=260,
            hint=_("A reward that gathers in one row gives no signal any more."),
        )  # fmt: skip


def record_cards(records: Sequence[dict[str, Any]], *, key: str) -> str | None:
    """Draw records as cards: `title`, `mark`, `facts` in the head, `texts` as pairs of label and text below.

    A record with an `action` (`id`, `label`) has a button; the id of the one just pressed is returned.
    """
    result = _records(key=key, data={"records": list(records)}, on_pressed_change=_nothing)
    return result.pressed if isinstance(result.pressed, str) else None


def _nothing() -> None:
    """A press needs no callback: the rerun that it makes answers it."""


def record(sample: Sample, can_follow: bool = True) -> dict[str, Any]:
    """One sample as records.js draws it."""
    data = sample.data
    facts = [_("step {n}", n=number(sample.step))]
    facts += [said(shown(data[name])) for name, said in FACTS.items() if data.get(name) is not None]
    facts += [_("cut off")] if data.get("truncated") is True else []
    known = [name for name in LABELS if data.get(name) is not None]
    others = [name for name in data if name not in {*LABELS, *FACTS, *DRAWN}]
    texts = [[say(LABELS[name]), shown(data[name])] for name in known]
    parts = data.get("rewards")
    if isinstance(parts, dict) and len(parts) > 1:
        facts += [f"{clean(str(name))} {shown(value)}" for name, value in parts.items()]
    drawn = {"mark": mark(data), "facts": facts, "texts": texts + [[name, shown(data[name])] for name in others]}
    if can_follow and data.get("prompt"):
        drawn["action"] = {"id": str(sample.id), "label": _("Follow this prompt")}
    return drawn


def mark(data: dict[str, Any]) -> dict[str, str] | None:
    """Right or wrong, where the sample tells it."""
    if "correct" not in data:
        return None
    if data["correct"]:
        return {"icon": "check_circle", "colour": "green", "word": _("right")}
    return {"icon": "cancel", "colour": "red", "word": _("wrong")}


def shown(value: object) -> str:
    """A value as text without control characters, line ends kept."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    said = str(value)
    cut = said[:LONGEST] + ("…" if len(said) > LONGEST else "")
    return "\n".join(clean(line) for line in cut.splitlines())

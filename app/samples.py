"""What a model read and wrote while it was trained or judged: prompt, answer, reference, reward. Text only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.format import number
from app.words import _, say
from platform_core.errors import Text, text
from platform_core.jobs.logs import clean
from platform_core.jobs.store import Job
from platform_core.metrics.reader import Reader, Sample

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

_records = st.components.v2.component(
    "lathe_records",
    html='<div class="root">\n</div>',
    css=(STATIC / "marks.css").read_text("utf-8") + (STATIC / "records.css").read_text("utf-8"),
    js=(STATIC / "records.js").read_text("utf-8"),
)


def samples(job: Job, path: Path) -> None:
    """The newest samples, searched, a page at a time. Raises Problem."""
    search = st.text_input(
        _("Search"), key="samples.search", type="search", placeholder=_("Words in prompt, answer or reference"),
        label_visibility="collapsed", live=True,
    )  # fmt: skip
    count = PAGE * int(st.session_state.get("samples.pages", 1))
    with Reader(path) as run:
        found = run.samples(limit=count + 1, search=search or None)
    if not found:
        st.caption(
            _("No sample holds “{search}”.", search=clean(search))
            if search
            else _("No samples: this job has shown none of its texts (yet).")
        )
        return
    record_cards([record(s) for s in found[:count]], key=f"samples.{job.id}")
    if len(found) > count and st.button(_("Show older ones"), icon=":material/expand_more:", key="samples.more"):
        st.session_state["samples.pages"] = count // PAGE + 1
        st.rerun(scope="fragment")


def record_cards(records: Sequence[dict[str, Any]], *, key: str) -> None:
    """Draw records as cards: `title`, `mark`, `facts` in the head, `texts` as pairs of label and text below."""
    _records(key=key, data={"records": list(records)})


def record(sample: Sample) -> dict[str, Any]:
    """One sample as records.js draws it."""
    data = sample.data
    facts = [_("step {n}", n=number(sample.step))]
    facts += [said(shown(data[name])) for name, said in FACTS.items() if data.get(name) is not None]
    known = [name for name in LABELS if data.get(name) is not None]
    others = [name for name in data if name not in LABELS and name not in FACTS and name != "correct"]
    texts = [[say(LABELS[name]), shown(data[name])] for name in known]
    return {"mark": mark(data), "facts": facts, "texts": texts + [[name, shown(data[name])] for name in others]}


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

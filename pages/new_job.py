"""New job: choose what to do, fill a short form, see what it will mean, start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.consequence import facts
from app.page import card, fact_grid, go, guarded, header, link, plain, trouble, workspace
from app.pickers import choices_for
from app.spec_form import Choice, Form, draft, fill, localised, spec_form
from app.spec_text import accelerate_yaml, command_line, to_yaml
from app.words import _, say
from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.registry import Algorithm, Source, algorithm, algorithms, engine_of
from platform_core.algorithms.training import TrainingSpec
from platform_core.errors import Problem, text
from platform_core.ids import new_id
from platform_core.jobs import service as jobs
from platform_core.jobs.document import read
from platform_core.jobs.examine import examine
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, Pick, setting_of
from platform_core.queue.capacity import gpus_here
from platform_core.verl.check import preview

ABOUT = ("kind", "clone", "lang", "name")
NAME, TROUBLE, SEEN = "new-job.name", "new-job.trouble", "new-job.seen"
YAML, TAKEN = "new-job.yaml", "new-job.yaml.taken"
TOKEN, MADE = "new-job.token", "new-job.made"


def cards() -> None:
    """Every kind of job as a card, by what it is for."""
    header(_("New job"), _("Choose what to do. Every kind starts from defaults that work on this machine."))
    kinds = list(algorithms().values())
    groups = {
        _("Prepare"): [k for k in kinds if k.role == "prepare"],
        **{title: [k for k in kinds if k.role == "train" and k.learns_from == source] for source, title in sources()},
        _("Evaluate"): [k for k in kinds if k.role == "evaluate"],
    }
    for title, members in groups.items():
        st.markdown(f"##### {title}")
        with st.grid(3, min_column_width=260):
            for kind in members:
                with card(f"kind-{kind.name}"):
                    if st.button(
                        _(kind.title), icon=f":material/{kind.icon}:", type="tertiary", key=f"kind.{kind.name}"
                    ):
                        choose(kind.name)
                    st.caption(plain(_(kind.summary)))


def sources() -> list[tuple[Source, str]]:
    """What a training can learn from, and the words for it."""
    return [
        ("texts", _("Train on texts and answers")),
        ("teacher", _("Learn from a larger model")),
        ("preferences", _("Learn from preferences")),
        ("rewards", _("Learn from rewards")),
    ]


def choose(kind: str) -> None:
    st.query_params["kind"] = kind
    st.rerun()


def start_values() -> None:
    """Take over what the address says, once: a job to clone, a kind, single settings."""
    query = {k: v for k, v in st.query_params.items() if k != "lang"}
    if query == st.session_state.get("new-job.query"):
        return
    st.session_state["new-job.query"] = query
    forget()
    if "clone" in query:
        job = jobs.get(workspace(), query["clone"])
        st.query_params["kind"] = job.kind
        st.session_state["new-job.query"] = {**query, "kind": job.kind}
        st.session_state[NAME] = _("{name} (copy)", name=job.name)[:200]
        remember(fill(algorithm(job.kind).spec, job.kind, jobs.clone_values(job)))
    elif "kind" in query and (given := {k: v for k, v in query.items() if k not in ABOUT}):
        chosen = algorithm(query["kind"])
        remember(fill(chosen.spec, chosen.name, {**draft(chosen.name), **given}))


def remember(findings: list[Finding]) -> None:
    """Keep what could not be taken over, to say it once the page is drawn."""
    if findings:
        st.session_state[TROUBLE] = findings


def take_yaml(kind: str, key: str) -> None:
    """Fill the form from the YAML that was typed; the form keeps what it had when it can't be understood."""
    typed = st.session_state[key]
    if key != f"{YAML}.{st.session_state[YAML][1]}" or st.session_state.get(TAKEN) == (key, typed):
        return  # nobody typed it: a browser that has not drawn what is new sends what it has
    forget()
    try:
        document = read(typed)
        wanted = document.kind or kind
        findings = fill(algorithm(wanted).spec, wanted, document.settings)
    except Problem as problem:
        findings = [Finding("error", text("{why} The form keeps what it had.", why=problem.text))]
    if findings:
        remember(findings)
        return
    st.session_state[TAKEN] = key, typed
    st.session_state[NAME] = document.name
    if wanted != kind:
        st.query_params["kind"] = wanted
        st.session_state["new-job.query"] = {k: v for k, v in st.query_params.items() if k != "lang"}


def told(kind: str) -> None:
    """What could not be taken over from an address or from YAML, until the form changes."""
    if TROUBLE not in st.session_state:
        return
    if st.session_state.setdefault(SEEN, dict(draft(kind))) != draft(kind):
        forget()
        return
    for finding in st.session_state[TROUBLE]:
        trouble(localised(finding.text))


def forget() -> None:
    for key in (TROUBLE, SEEN):
        st.session_state.pop(key, None)


def form_page(chosen: Algorithm) -> None:
    """The form of one kind, with its consequence beside it."""
    with header(_("New job: {title}", title=_(chosen.title)), plain(_(chosen.summary))):
        if st.button(_("Other kinds"), icon=":material/arrow_back:", key="other-kinds"):
            st.query_params.pop("kind", None)
            st.query_params.pop("clone", None)
            st.rerun()
    left, right = st.columns([5, 3], gap="large")
    with left:
        place = st.container()
        choices = choices_for(workspace(), chosen)
        form = spec_form(
            chosen.spec,
            chosen.name,
            choices,
            lambda v: examine(workspace(), chosen.name, v),
            pointless=() if gpus_here() else ("gpu_indexes",),
        )
    with place:
        told(chosen.name)
    with right, st.container(key="beside", gap="small"):
        with st.container(border=True, gap="small"):
            st.markdown(f"##### {_('What will happen')}")
            if form.spec is not None:
                fact_grid(facts(workspace(), chosen, form.spec))
            said_in_short(chosen, form, choices)
            st.text_input(_("Name"), key=NAME, placeholder=_("made from the kind"), max_chars=200)
            buttons(chosen, form)
        as_text(chosen, form)


def said_in_short(chosen: Algorithm, form: Form[JobSpec], choices: Mapping[Pick, Sequence[Choice]]) -> None:
    """What still stands in the way of a start, where the button is."""
    missing = [
        setting_of(chosen.spec.model_fields[n], n) for f in form.findings if f.level == "missing" for n in f.fields
    ]
    if missing:
        names = [plain(_(made.title)) for made in missing]
        st.caption(_("Needed first: {names}.", names=", ".join(names)))
    for finding in form.findings:
        if finding.level == "error":
            st.markdown(f":small[:red[:material/error: {plain(say(localised(finding.text)))}]]")
    picks = {made.pick for made in missing}
    if "model" in picks and not choices.get("model"):
        link("new-job", _("No model yet? Pretrain a small one"), "menu_book", kind="pretrain")
    if any("tokenizer" in f.fields for f in form.findings) and not choices.get("tokenizer"):
        link("new-job", _("No tokenizer yet? Train one"), "token", kind="tokenizer")
    if "dataset" in picks and not choices.get("dataset"):
        link("datasets", _("No dataset yet? Add one"), "database")


def buttons(chosen: Algorithm, form: Form[JobSpec]) -> None:
    """Create, or create and start; however often they are pressed, one job is made."""
    stuck = form.spec is None
    verbs = {"prepare": _("Start"), "train": _("Start training"), "evaluate": _("Start evaluation")}
    with st.container(horizontal=True, key="start-row"):
        start = st.button(
            verbs[chosen.role],
            type="primary",
            icon=":material/play_arrow:",
            disabled=stuck,
            key="start",
            width="stretch",
        )
        create = st.button(
            _("Create"), disabled=stuck, key="create", help=_("Make the job without starting it: it waits in Jobs.")
        )
    token = st.session_state.setdefault(TOKEN, new_id())
    made: dict[str, str] = st.session_state.setdefault(MADE, {})
    if not (start or create):
        if token in made:
            st.session_state[TOKEN] = new_id()
        return
    try:
        if token not in made:
            name = st.session_state.get(NAME) or ""
            made[token] = jobs.create(workspace(), chosen.name, form.values, name=name, start=start).id
    except Problem as problem:
        trouble(problem)
        return
    st.session_state.pop(NAME, None)
    go("monitor", job=made[token])


def as_text(chosen: Algorithm, form: Form[JobSpec]) -> None:
    """The job as YAML, which can be edited, and as a command."""
    name = st.session_state.get(NAME) or ""
    values: dict[str, Any] = form.spec.model_dump(mode="json") if form.spec is not None else form.values
    engine = [] if form.spec is None or engine_of(chosen, form.spec) != "verl" else ["verl"]
    yaml_tab, command_tab, *verl_tab = st.tabs([_("YAML"), _("Command"), *engine])
    with yaml_tab, st.container(key="yaml", gap="small"):
        key = yaml_key(to_yaml(chosen.name, name, values))
        st.text_area(
            _("The job as YAML"), key=key, height=300, on_change=take_yaml, args=(chosen.name, key),
            label_visibility="collapsed", help=_("Edit and press Ctrl+Enter: the form follows."),
        )  # fmt: skip
        st.caption(_("Edit and press Ctrl+Enter: the form follows."))
    with command_tab:
        if form.spec is not None:
            st.code(command_line(chosen, name, form.spec, form.values), language="bash", wrap_lines=True)
            st.caption(_("The same job from a terminal. `--dry-run` checks it without starting."))
            if isinstance(form.spec, TrainingSpec) and form.spec.world_size > 1:
                st.code(accelerate_yaml(form.spec), language="yaml")
                st.caption(_("How its processes are set up, as `accelerate launch` would take it."))
        else:
            st.caption(_("The command appears once the form is complete."))
    for tab in verl_tab:
        with tab, guarded():
            show_verl(chosen, form.spec)


def show_verl(chosen: Algorithm, spec: JobSpec | None) -> None:
    """What verl will be given: the whole command, checked against verl's own config."""
    assert isinstance(spec, EngineSpec)
    st.code(preview(workspace(), chosen, spec).shell(), language="bash", height=420)
    st.caption(_("What runs, an override a line. Values in < > are counted when the job starts."))


def yaml_key(text: str) -> str:
    """The key of the YAML field, with `text` in it unless what was typed there is in trouble.

    A text that other fields have changed gets a field of its own. In one and the same field, what the browser sends
    before it has drawn the new text could not be told from typing, and would undo what was just entered in the form.
    """
    shown, number = st.session_state.get(YAML, ("", 0))
    key = f"{YAML}.{number}"
    if TROUBLE in st.session_state and key in st.session_state:
        return key
    if text != shown and st.session_state.get(TAKEN) != (key, st.session_state.get(key)):
        number += 1
        key = f"{YAML}.{number}"
    st.session_state[YAML] = text, number
    if st.session_state.get(key) != text:
        st.session_state[key] = text
    return key


def asked() -> Algorithm | None:
    """The kind that the address names, filled with what else it says; None after a word on what is not there."""
    try:
        start_values()
        return algorithm(st.query_params["kind"]) if "kind" in st.query_params else None
    except Problem as problem:
        trouble(problem)
        return None


chosen_kind = asked()
if chosen_kind is not None:
    form_page(chosen_kind)
else:
    cards()

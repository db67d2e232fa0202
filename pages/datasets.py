"""Datasets: what is there, what is wrong with it, what it can be used for."""

from __future__ import annotations

import streamlit as st

from app.dataset_view import fields, problems, rows
from app.demo_panel import begin
from app.format import ago
from app.kind_buttons import kind_buttons
from app.page import Door, card, empty_state, fact_grid, go, guarded, header, plain, trouble, workspace
from app.sizes import bytes_text, count_text
from app.trash_panel import trash, undo
from app.uploader import uploader
from app.words import _, say
from platform_core.algorithms.registry import Algorithm, algorithms
from platform_core.clock import now
from platform_core.datasets import service as datasets
from platform_core.datasets.formats import FORMATS
from platform_core.datasets.needs import NEEDS, fitting, offered
from platform_core.datasets.report import Report
from platform_core.datasets.service import DatasetInfo
from platform_core.errors import Problem
from platform_core.settings import allowed_roots

CARDS = 24
GONE = "datasets.gone"


def listing() -> None:
    """All datasets as cards, with the ways to add one above them."""
    header(_("Datasets"), _("Your texts, prompts and answers: uploaded, checked row by row, ready to train on."))
    undo(GONE, "datasets", datasets.restore)
    add()
    found = datasets.list_datasets(workspace().home)
    if not found:
        empty_state(
            _("No data yet"),
            _("Drop a file above, or begin with the demo, which brings its own."),
            [
                Door(_("Run the demo"), _("A small model learns to add, on data that it writes itself."),
                     "play_circle", do=begin),
                Door(_("New job"), _("See which data each kind of job takes."), "add_circle", page="new-job"),
            ],
        )  # fmt: skip
    else:
        find = st.text_input(_("Find"), type="search", placeholder=_("Find by name"), label_visibility="collapsed",
                               key="datasets.find", live=True) if len(found) > 6 else ""  # fmt: skip
        shown = [d for d in found if find.lower() in d.name.lower()]
        pages = -(-len(shown) // CARDS)
        page = st.pagination(pages, key="datasets.page") if pages > 1 else 1
        with st.grid(3, min_column_width=280):
            for info in shown[(page - 1) * CARDS : page * CARDS]:
                entry(info)
    trash(datasets.deleted(workspace().home), datasets.restore)


def entry(info: DatasetInfo) -> None:
    """One dataset as a card that leads to its page."""
    report = info.report
    with card(f"dataset-{info.name}"):
        if st.button(plain(info.name), icon=":material/table_rows:", type="tertiary", key=f"open.{info.name}"):
            go("datasets", name=info.name)
        if info.unreadable is not None:
            st.caption(_("Can't be read"))
        elif report is None:
            st.caption(_("Not looked into yet"))
        else:
            st.caption(f"{format_title(report)} · {_('{n} rows', n=count_text(report.rows))}")
        bad = report.rows - report.good_rows if report is not None else 0
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{bytes_text(info.size_bytes)} · {ago(now() - info.modified)}")
            if info.unreadable is not None:
                st.badge(_("No usable row"), icon=":material/error:", color="red")
            if bad:
                st.badge(_("Problem rows: {n}", n=count_text(bad)), icon=":material/warning:", color="orange")


def format_title(report: Report) -> str:
    """What the rows are, in words."""
    return _(FORMATS[report.format].title) if report.format in FORMATS else _("Format not known")


def add() -> None:
    """Upload in the browser, or take a file that is on the server."""
    done = uploader("uploader")
    if done:
        settle(done)
    with st.expander(_("From a folder of this server"), icon=":material/folder_open:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            path = st.text_input(_("Path of a file or folder"), key="register.path", placeholder="/data/train.jsonl")
            pressed = st.button(_("Copy it here"), disabled=not path.strip(), key="register")
        home = workspace().home
        st.caption(_("Readable: {roots}", roots=plain(", ".join(str(r) for r in allowed_roots(home)))))
        if pressed:
            with guarded(), st.spinner(_("Copying…"), show_time=True):
                settle([datasets.register(home, path.strip(), allowed_roots=allowed_roots(home)).name])


def settle(names: list[str]) -> None:
    """Look into new datasets, then show the one, or the list of many."""
    for name in names:
        with guarded():
            look(name)
    st.session_state.pop(GONE, None)
    if len(names) == 1:
        go("datasets", name=names[0])


def look(name: str) -> Report:
    """The report of a dataset; reading a large one shows how far it is."""
    info = datasets.get(workspace().home, name)
    if info.report is not None:
        return info.report
    place = st.empty()

    def progress(read: int, size: int) -> None:
        share = min(1.0, read / max(size, 1))
        text = _("Reading {name}: {read} of {size}", name=plain(name), read=bytes_text(read), size=bytes_text(size))
        place.progress(share, text=text)

    report = datasets.report(workspace().home, name, progress)
    place.empty()
    return report


def detail(info: DatasetInfo) -> None:
    """One dataset: what it holds, what is wrong, what it is good for, and its rows."""
    name = info.name
    with header(name, _("Added {ago} · {size}", ago=ago(now() - info.modified), size=bytes_text(info.size_bytes))):
        if st.button(_("All datasets"), icon=":material/arrow_back:", key="all-datasets"):
            go("datasets")
        if st.button(_("Delete"), icon=":material/delete:", key="delete"):
            confirm(name)
    try:
        report = look(name)
    except Problem as problem:
        trouble(problem)
        return
    left, right = st.columns([5, 3], gap="large")
    with left:
        summary(report)
    with right, st.container(border=True, gap="small"):
        uses(name, report)
    rows_tab, fields_tab, problems_tab = st.tabs(
        [_("Rows"), _("Fields"), _("Problems ({n})", n=count_text(report.rows - report.good_rows))]
    )
    with rows_tab:
        rows(name, report)
    with fields_tab:
        fields(report)
    with problems_tab:
        problems(report)


def summary(report: Report) -> None:
    """The facts of a dataset, why its format is believed, and what was noted on reading."""
    facts = [
        (_("Format"), format_title(report)),
        (_("Rows"), f"{report.rows:,}"),
        (_("Usable"), f"{report.good_rows:,}"),
        (_("Fields"), str(len(report.fields))),
        (_("Encoding"), report.encoding or "–"),
        (_("Files"), str(len(report.files))),
    ]
    fact_grid(facts, 3)
    if report.guesses:
        best = report.guesses[0]
        st.caption(
            _(
                "Read as {why}: {share} of the rows looked at fit.",
                why=plain(say(best.why)).rstrip("\\."),
                share=f"{best.share:.0%}",
            )
        )
    else:
        st.caption(
            _("No known format fits these rows: rename their columns, or see below what each kind of job takes.")
        )
    bad = report.rows - report.good_rows
    if bad:
        st.warning(
            _("{n} of {all} rows can't be used as they are; the tab “Problems” says which and why.",
              n=f"{bad:,}", all=f"{report.rows:,}"),
            icon=":material/warning:",
        )  # fmt: skip
    for note in report.notes:
        st.caption(":material/info: " + plain(say(note)))


def uses(name: str, report: Report) -> None:
    """The kinds of job that take this dataset, each one press away; the others with what they would need."""
    st.markdown(f"##### {_('What it is good for')}")
    kinds = [a for a in algorithms().values() if a.dataset_format]
    good = [a for a in kinds if fitting(report.guesses, a.dataset_format or "") is not None]
    good.sort(key=lambda a: report.format not in NEEDS[a.dataset_format or ""].formats[:1])
    if not good:
        st.caption(_("Nothing yet: its rows are in no format that a job takes."))
    pressed = kind_buttons([(kind, first_label(kind)) for kind in good], _("And for other kinds of job:"))
    if pressed is not None:
        go("new-job", kind=pressed.name, dataset=name)
    copies = offered(report.guesses)
    for family in copies:
        label = _("Make a copy for {kind}", kind=_(NEEDS[family].title))
        if st.button(label, icon=":material/file_copy:", type="tertiary", key=f"copy.{family}"):
            with guarded(), st.spinner(_("Copying…"), show_time=True):
                settle([datasets.make_copy(workspace().home, name, family).name])
    others: dict[str, list[str]] = {}
    for kind in (a for a in kinds if a not in good and a.dataset_format not in copies):
        others.setdefault(NEEDS[kind.dataset_format or ""].takes, []).append(_(kind.title))
    if not others:
        return
    with st.expander(_("What other kinds of job take"), expanded=not good, key="other-needs"):
        for takes, titles in others.items():
            st.caption(f"**{', '.join(titles)}**: {_(takes)}")  # words: formats


def first_label(kind: Algorithm) -> str:
    """What a dataset is used for, on the button of the kind that suits it best."""
    return _("Train on it: {kind}", kind=_(kind.title)) if kind.role == "train" else _(kind.title)


def confirm(name: str) -> None:
    """Ask before a dataset goes to the trash."""

    @st.dialog(_("Delete “{name}”?", name=plain(name)))
    def ask() -> None:
        st.write(_("It goes to the trash, from where it can be restored. Jobs that have finished keep their results."))
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(_("Keep it"), key="keep"):
                st.rerun()
            delete = _("Delete dataset")
            if st.button(delete, type="primary", key="really-delete", on_click=remove, args=(name,)):
                go("datasets")

    ask()


def remove(name: str) -> None:
    st.session_state[GONE] = datasets.delete(workspace().home, name)


wanted = st.query_params.get("name")
if wanted is not None and wanted == getattr(st.session_state.get(GONE), "name", None):
    go("datasets")
found_info = None
if wanted is not None:
    try:
        found_info = datasets.get(workspace().home, wanted)
    except Problem as problem:
        trouble(problem)
if found_info is not None:
    detail(found_info)
else:
    listing()

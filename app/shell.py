"""What every rerun draws first: head of the document, navigation, language; then the chosen page.

`app/main.py` serves it; tests start from it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app.disk_line import disk_line  # noqa: E402
from app.page import as_problem, guarded, page_file, trouble, workspace  # noqa: E402
from app.toast import alert_badge  # noqa: E402
from app.watch import last_problem  # noqa: E402
from app.words import LANGUAGES, _, language  # noqa: E402

STATIC = Path(__file__).with_name("static")


def entries() -> dict[str, list[tuple[str, str, str]]]:
    """Sections of the menu: (url path, title, icon) of each page."""
    return {
        "": [("home", _("Home"), "home"), ("new-job", _("New job"), "add_circle")],
        _("Run"): [
            ("jobs", _("Jobs"), "list_alt"),
            ("queue", _("Queue"), "low_priority"),
            ("monitor", _("Monitor"), "monitoring"),
            ("compare", _("Compare"), "compare_arrows"),
            ("alerts", _("Alerts"), "notifications"),
        ],
        _("Library"): [
            ("models", _("Models"), "deployed_code"),
            ("datasets", _("Datasets"), "database"),
            ("rewards", _("Rewards"), "trophy"),
        ],
        _("System"): [
            ("hosts", _("Devices"), "developer_board"),
            ("environment", _("Environment"), "memory"),
            ("settings", _("Settings"), "settings"),
        ],
    }


def menu() -> dict[str, list[Any]]:
    """The pages that are there, as Streamlit's navigation takes them; the first one is the start page."""
    first = True
    sections: dict[str, list[Any]] = {}
    for section, pages in entries().items():
        for path, title, icon in pages:
            if page_file(path).is_file():
                made = st.Page(page_file(path), title=title, icon=f":material/{icon}:", url_path=path, default=first)
                sections.setdefault(section, []).append(made)
                first = False
    return sections


def language_picker() -> None:
    """The language of this session, kept in the address, so that a link and a reload keep it."""
    st.session_state.setdefault("lang", language())
    chosen = st.segmented_control(
        _("Language"), list(LANGUAGES), format_func=LANGUAGES.get, key="lang", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen != str(st.context.locale or "en").split("-")[0]:
        st.query_params["lang"] = chosen


st.set_page_config(page_title="lathe", page_icon=str(STATIC / "icon.svg"), layout="wide")
st.html(STATIC / "page.css")
st.logo(str(STATIC / "logo.svg"), size="large", icon_image=str(STATIC / "icon.svg"))
page = st.navigation(menu(), expanded=True)
with st.sidebar.container(key="sidebar-foot"):
    with guarded():
        alert_badge()
    language_picker()
try:
    workspace()
    supervisor_trouble = last_problem()
    if supervisor_trouble is not None:
        trouble(supervisor_trouble)
    disk_line()
    page.run()
except Exception as error:
    trouble(as_problem(error))

"""The interpreters that jobs can run with: what each can run, add one, ask it again, forget it."""

from __future__ import annotations

import streamlit as st

from app.format import ago
from app.page import guarded, plain, workspace
from app.table import Column, Row, table, words
from app.words import _, say
from platform_core.clock import now
from platform_core.environments import service
from platform_core.environments.health import ENGINES, VERL
from platform_core.environments.service import Environment
from platform_core.jobs.service import current_user

SHOWN = ("torch", "verl", "ray", "vllm")
NAMED = 3


def environments_panel() -> None:
    """All of them in a table, with what can be done below it."""
    found = service.environments(workspace().home)
    st.subheader(_("Environments"), anchor=False)
    st.caption(_("Interpreters that a job can name. verl with vLLM, for GPUs, lives in one of its own."))
    columns = [
        Column("name", _("Name")),
        Column("runs", _("Runs"), kind="long"),
        Column("has", _("Python"), kind="long"),
    ]
    table(columns, [Row(one.name, row(one)) for one in found], key="environments")
    with st.container(horizontal=True, key="environments-do"):
        add()
        others = [one.name for one in found if not one.is_base]
        if others:
            change(others)


def row(one: Environment) -> dict[str, dict[str, str] | None]:
    """One environment: what it can run or lacks, where it is and which versions it has."""
    health = one.health
    versions = [f"{name} {health.version(name)}" for name in SHOWN if health.version(name)]
    if health.version("verl") not in ("", VERL):
        versions.append(_("verl was tried as {version} only", version=VERL))
    told = [*health.engines, *(lacks(e, m) for e in ENGINES if (m := health.missing(e)))]
    if health.error is not None:
        told = [_("nothing: {reason}", reason=say(health.error))]
    has = ", ".join([one.python, health.python, *versions])
    return {"name": words(one.name), "runs": words(" · ".join(told)), "has": words(has)}


def lacks(engine: str, missing: list[str]) -> str:
    """What an engine misses, the first few by name."""
    if len(missing) <= NAMED:
        return _("{engine} lacks {packages}", engine=engine, packages=", ".join(missing))
    first, more = ", ".join(missing[:NAMED]), len(missing) - NAMED
    return _("{engine} lacks {packages} and {n} more", engine=engine, packages=first, n=more)


def add() -> None:
    """Register an interpreter by its path."""
    place = st.popover(_("Add an environment"), icon=":material/add:", key="environments.add")
    with place, st.form("environments.form", border=False):
        name = st.text_input(_("Name"), max_chars=64, placeholder="gpu")
        python = st.text_input(_("Python"), placeholder="/opt/verl/bin/python", max_chars=1000)
        st.caption(_("A Python, or the folder of a virtual environment, on this machine."))
        if st.form_submit_button(_("Add"), type="primary", key="environments.add.do"):
            with guarded():
                service.add(workspace().home, name.strip(), python.strip(), current_user())
                st.rerun()


def change(names: list[str]) -> None:
    """Ask one again, or forget it."""
    with st.popover(_("Change"), icon=":material/edit:", key="environments.change"):
        name = st.selectbox(_("Environment"), names, key="environments.which")
        checked = service.get(workspace().home, name).health.checked_at
        st.caption(_("Looked at {ago}.", ago=ago(max(0.0, now() - checked))))
        with st.container(horizontal=True):
            if st.button(_("Look again"), icon=":material/refresh:", key="environments.check"):
                with guarded():
                    service.check(workspace().home, name)
                    st.rerun()
            if st.button(plain(_("Forget {name}", name=name)), icon=":material/delete:", key="environments.forget"):
                with guarded():
                    service.remove(workspace().home, name)
                    st.rerun()
        st.caption(_("Its files stay where they are; jobs that name it can't start any more."))

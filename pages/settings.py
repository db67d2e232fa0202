"""Settings: what the operator of this workspace sets for everybody, by group, with who set it and when."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.format import ago, moment
from app.page import as_problem, guarded, header, plain, trouble, workspace
from app.spec_form import Form, fill, localised, spec_form
from app.words import _, say
from platform_core.alerts import notify
from platform_core.alerts.notify import Channel
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.jobs.messages import Finding, validate
from platform_core.jobs.service import current_user
from platform_core.jobs.spec import setting_of
from platform_core.options import service as options
from platform_core.options.spec import Options
from platform_core.settings import SMTP_PASSWORD

KEY, LOADED, SAVED = "options", "settings.loaded", "settings.saved"


def page() -> None:
    """Form at the left; what is unsaved, how sending went, and who set what at the right."""
    header(_("Settings"), _("Prices and where alerts are sent: set once, for everybody who uses this workspace."))
    kept = options.current(workspace())
    stored = kept.model_dump()
    if st.session_state.get(LOADED) != stored:
        st.session_state[LOADED] = stored
        fill(Options, KEY, stored)
    left, right = st.columns([5, 3], gap="large")
    with left:
        form = spec_form(Options, KEY, {}, judge)
    with right, st.container(key="beside", gap="small"):
        with st.container(border=True, gap="small"):
            save_box(form, stored)
        with st.container(border=True, gap="small"), guarded():
            sending(kept)
        with guarded():
            who()


def judge(typed: dict[str, Any]) -> tuple[Options | None, list[Finding]]:
    """The options as typed; an empty field stands for its default."""
    return validate(Options, {name: value for name, value in typed.items() if value is not None})


def changed(form: Form[Options], stored: dict[str, Any]) -> dict[str, Any]:
    """The options whose value differs from what is kept."""
    typed = {name: form.values.get(name) for name in Options.model_fields}
    typed = {n: f.get_default() if typed[n] is None else typed[n] for n, f in Options.model_fields.items()}
    return {name: value for name, value in typed.items() if value != stored[name]}


def save_box(form: Form[Options], stored: dict[str, Any]) -> None:
    """Save or take back what was typed."""
    wanted = changed(form, stored)
    st.markdown(f"##### {_('Changes')}")
    if not wanted:
        said = st.session_state.get(SAVED)
        st.caption(_("Everything is saved.") if said is None else _("Saved {time}.", time=ago(now() - said)))
        return
    for finding in form.findings:
        if finding.level == "error":
            st.markdown(f":small[:red[:material/error: {plain(say(localised(finding.text)))}]]")
    names = [plain(_(setting_of(Options.model_fields[n], n).title)) for n in wanted]  # words: settings
    st.caption(_("Not saved yet: {names}.", names=", ".join(names)))
    with st.container(horizontal=True):
        save = st.button(
            _("Save"), type="primary", icon=":material/save:", key="settings.save", disabled=form.spec is None
        )
        if st.button(_("Take back"), icon=":material/undo:", key="settings.back"):
            st.session_state.pop(LOADED)
            st.rerun()
    if save:
        try:
            options.change(workspace(), wanted, current_user())
        except Exception as error:
            trouble(as_problem(error))
            return
        st.session_state[SAVED] = now()
        st.rerun()


def sending(kept: Options) -> None:
    """Whether each way of sending works, as far as it was tried, and a test of the saved settings."""
    st.markdown(f"##### {_('Sending')}")
    on = notify.channels(kept)
    if not on:
        st.caption(_("Alerts are shown on the pages only. Give a webhook or an e-mail address to have them sent."))
        return
    titles: dict[Channel, str] = {"webhook": _("Webhook"), "mail": _("E-mail")}
    tried = notify.last(workspace())
    for channel in on:
        last = tried.get(channel)
        if last is None:
            st.caption(plain(_("{channel}: nothing was sent yet.", channel=titles[channel])))
        elif last.problem is None:
            st.markdown(
                f":small[:green[:material/check_circle: "
                f"{plain(_('{channel}: arrived {time}.', channel=titles[channel], time=ago(now() - last.at)))}]]"
            )
        else:
            failed = _(
                "{channel}: failed {time}, and is tried again.", channel=titles[channel], time=ago(now() - last.at)
            )
            st.markdown(f":small[:red[:material/error: {plain(failed)}]]")
            st.caption(plain(say(last.problem)))
    if "mail" in on and kept.smtp_user and not SMTP_PASSWORD.read():
        st.caption(_("The mail server's password comes from the environment: LATHE_SMTP_PASSWORD is not set."))
    with st.container(horizontal=True):
        for channel in on:
            if st.button(
                _("Test the webhook") if channel == "webhook" else _("Test the e-mail"),
                icon=":material/send:",
                key=f"settings.test.{channel}",
                help=_("Sends a message by the saved settings, and says how it went."),
            ):
                test(kept, channel)


def test(kept: Options, channel: Channel) -> None:
    """Send a test, and say whether it arrived."""
    try:
        with st.spinner(_("Sending: at most a quarter of a minute.")):
            notify.test(kept, channel)
    except Problem as problem:
        trouble(problem)
        return
    st.info(_("The test was taken by the other side."), icon=":material/check_circle:")


def who() -> None:
    """Who set which option, and when."""
    found = options.changes(workspace())
    if not found:
        return
    with st.expander(_("Who set what"), icon=":material/history:", key="settings.who"):
        for name, change in sorted(found.items(), key=lambda entry: -entry[1].since):
            if name in Options.model_fields:
                title = plain(_(setting_of(Options.model_fields[name], name).title))  # words: settings
                st.caption(f"**{title}**: {plain(_('{actor}, {time}', actor=change.actor, time=moment(change.since)))}")


page()

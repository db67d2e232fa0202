"""New alerts while a page is open: a toast for each, once a session, and how many ask for somebody, on every page."""

from __future__ import annotations

import streamlit as st

from app.alert_words import ICONS, level_word
from app.page import as_problem, link, plain, workspace
from app.words import _, say
from platform_core.alerts import service as alerts
from platform_core.doctor.diagnosis import LEVELS

EVERY = 3.0
NEWEST = "alerts.newest"
SHOWN = 3
"""More new alerts at once are told together."""


def alert_badge() -> None:
    """How many alerts ask for somebody, as a link; looked at again every few seconds by one small query."""
    st.fragment(badge, run_every=EVERY, key="alert-badge")()


def badge() -> None:
    try:
        count, newest = alerts.count_asking(workspace())
    except Exception as error:
        as_problem(error)  # logged where it is a surprise; the page itself says what is wrong
        return
    known = st.session_state.setdefault(NEWEST, newest)
    if newest > known:
        st.session_state[NEWEST] = newest
        tell(known)
    if count:
        said = _("1 alert asks for you") if count == 1 else _("{n} alerts ask for you", n=count)
        link("alerts", said, "notifications_active")


def tell(known: int) -> None:
    """A toast for each alert that is newer than `known`."""
    found = [a for a in alerts.asking(workspace(), limit=SHOWN * 4) if a.id > known]
    for alert in found[:SHOWN]:
        about = alert.job_name or alert.host or ""
        text = f"**{plain(level_word(alert.level))}: {plain(about)}**  \n{plain(say(alert.what))}"
        where = f"monitor?job={alert.job_id}" if alert.job_id is not None else f"alerts?alert={alert.id}"
        st.toast(f"{text}  \n[{_('Look')}]({where})", icon=ICONS[alert.level], duration=duration(alert.level))
    if len(found) > SHOWN:
        st.toast(_("{n} more new alerts", n=len(found) - SHOWN), icon=":material/notifications:")


def duration(level: str) -> int:
    """Seconds that a toast stays: the worse, the longer."""
    return 10 * (1 + LEVELS.index(level))  # type: ignore[arg-type]

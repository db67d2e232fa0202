"""Queue: what runs on which slots, who waits for what and until when, and the order of those that wait."""

from __future__ import annotations

import streamlit as st

from app.page import Door, as_problem, empty_state, go, guarded, header, link, plain, trouble, workspace
from app.queue_view import LATER, Wish, draw_line, draw_slots
from app.words import _, say
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.queue import ordering
from platform_core.queue.ordering import Place, View

PAGE = 50
EVERY = 2.0
UNDO, REFUSED, DONE, AT = "queue.undo", "queue.refused", "queue.done", "queue.page"
UNDO_SECONDS = 600.0


def do(wish: Wish, seen: View) -> None:
    """Make true what a person did with a row, and keep the way back."""
    place = workspace()
    name = next((job.name for job in seen.line.waiting if job.id == wish.job_id), wish.job_id)
    if wish.verb == "class":
        before = ordering.set_priority(place, [wish.job_id], wish.value)
        said = _("“{name}” is in another class.", name=name)
    elif wish.verb == "later":
        wait = LATER.get(wish.value)
        before = ordering.postpone(place, wish.job_id, None if wait is None else now() + wait)
        said = _("“{name}” starts at another time.", name=name)
    elif wish.verb in ("top", "up", "down", "bottom", "fair", "before", "after"):
        before = ordering.move(place, wish.job_id, wish.verb, wish.value)  # type: ignore[arg-type]
        said = _("“{name}” was moved.", name=name)
    else:
        return
    st.session_state[UNDO] = (now(), said, before)


def undo_bar() -> None:
    """What was just changed, with the way back, for ten minutes."""
    found: tuple[float, str, list[Place]] | None = st.session_state.get(UNDO)
    if found is None or now() - found[0] > UNDO_SECONDS:
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="undo"):
        st.markdown(f":material/low_priority: {plain(found[1])}", width="stretch")
        if st.button(_("Undo"), icon=":material/undo:", key="queue.undo.do", type="primary"):
            st.session_state.pop(UNDO)
            with guarded():
                ordering.put_back(workspace(), found[2])
            st.rerun(scope="fragment")
        if st.button(_("Dismiss"), key="queue.undo.close", type="tertiary"):
            st.session_state.pop(UNDO)
            st.rerun(scope="fragment")


def refused() -> None:
    """Say what the last change could not do."""
    problem: Problem | None = st.session_state.pop(REFUSED, None)
    if problem is not None:
        trouble(problem)


def slots(seen: View) -> None:
    """What runs on which cores, memory and GPUs."""
    if seen.capacity.drained is not None:
        st.warning(plain(say(seen.capacity.drained)), icon=":material/block:")
    opened = draw_slots(seen)
    if opened is not None and any(job.id == opened for job in seen.line.running):
        go("monitor", job=opened)


def waiting(seen: View) -> None:
    """Those that wait, in order; a page of them at a time."""
    jobs = seen.line.waiting
    pages = max(-(-len(jobs) // PAGE), 1)
    page = min(asked_page(), pages)
    first = (page - 1) * PAGE
    wish = draw_line(list(jobs[first : first + PAGE]), seen.waits, first + 1, len(jobs))
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            last = min(first + PAGE, len(jobs))
            st.caption(_("{first}–{last} of {total}", first=first + 1, last=last, total=f"{len(jobs):,}"))
            key = f"queue.pager.{page}.{pages}"
            st.pagination(pages, default=page, key=key, on_change=keep_page, args=(key,))
    st.caption(
        _(
            "A higher class always goes first. In a class, those placed by hand (pin) go first, then whoever has had "
            "least of this machine of late. A big job keeps what is free until it fits."
        )
    )
    if wish is None or st.session_state.get(DONE) == (wish.job_id, wish.number, wish.verb, wish.value):
        return
    st.session_state[DONE] = (wish.job_id, wish.number, wish.verb, wish.value)
    if wish.verb == "open":
        go("monitor", job=wish.job_id)
    try:
        do(wish, seen)
    except Exception as error:
        st.session_state[REFUSED] = as_problem(error)
    st.rerun(scope="fragment")


def asked_page() -> int:
    """The page of the line that the address asks for, from 1."""
    number = "".join(st.query_params.get_all("p"))
    return max(int(number), 1) if number.isdigit() and number.isascii() and len(number) < 6 else 1


def keep_page(key: str) -> None:
    """Write the chosen page into the address."""
    number = int(st.session_state[key])
    if number > 1:
        st.query_params["p"] = str(number)
    else:
        st.query_params.pop("p", None)


def everything() -> None:
    """Slots and line; drawn again every two seconds."""
    with guarded():
        undo_bar()
        refused()
        seen = ordering.view(workspace())
        slots(seen)
        if seen.line.waiting:
            st.subheader(_("{n} wait", n=f"{len(seen.line.waiting):,}"), anchor=False)
            waiting(seen)
        elif seen.line.running:
            st.caption(_("Nobody waits: a new job starts as soon as it fits beside what runs."))
        else:
            empty_state(
                _("Nothing runs and nobody waits"),
                _("Whatever is started stands here until it begins, with the reason and the time."),
                [
                    Door(_("New job"), _("Choose what to do and fill a short form."), "add_circle", "new-job",
                         primary=True),
                    Door(_("Jobs"), _("See what has ended, and start it again."), "list_alt", "jobs"),
                ],
            )  # fmt: skip


with header(_("Queue"), _("What runs on which slots, and who waits for what.")):
    link("jobs", _("All jobs"), "list_alt")
st.fragment(everything, run_every=EVERY, key="queue")()

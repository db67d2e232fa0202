"""Trying a reward on rows of a dataset or on an answer typed in: scores, what was extracted, why, how long."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.format import number
from app.page import guarded, plain, workspace
from app.table import Column, Row, choice_table, words
from app.words import _, say
from platform_core.datasets import service as datasets
from platform_core.errors import text
from platform_core.rewards.answer import Answer
from platform_core.rewards.bench import Ready, Tried, as_case, ready_made, try_reward, worry
from platform_core.rewards.cases import Case, CaseResult, run_cases
from platform_core.rewards.kinds.registry import kind
from platform_core.rewards.sample import SLOW_SECONDS, sample
from platform_core.rewards.sandbox import protection
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.spec import write_reward
from platform_core.rewards.store import Saved

TRIED, CASES, RESULTS, RESULTS_OF = "reward.tried", "reward.cases", "reward.results", "reward.results.of"
MOST_ROWS, LARGEST_ROW, SHOWN = 20, 1_000_000, 400


def bench(saved: Saved | None) -> None:
    """Choose what to try, try it, keep what is telling as test cases. `saved` is None while the form is wrong."""
    st.markdown(f"##### {_('Try it')}")
    how = st.segmented_control(
        _("On"), ["rows", "own"], format_func={"rows": _("Rows of a dataset"), "own": _("An answer of yours")}.get,
        default="rows", required=True, key="try.how", label_visibility="collapsed",
    )  # fmt: skip
    chosen = from_rows(saved) if how == "rows" else own_answer()
    if saved is not None and chosen is not None:
        with guarded(), st.spinner(_("Scoring…")):
            st.session_state[TRIED] = (stamp(saved), try_reward(saved, chosen))
    results(saved)
    if saved is not None and any(kind(f.kind).where == "sandbox" for f in saved.reward.functions):
        protected()


def from_rows(saved: Saved | None) -> list[Ready] | None:
    """Ready-made answers to rows of a dataset, when the button was pressed."""
    names = [d.name for d in datasets.list_datasets(workspace().home)]
    if not names:
        st.caption(_("There is no dataset yet: upload one, or type an answer."))
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(_("Dataset"), names, key="try.dataset")
        first = st.number_input(_("From row"), 1, LARGEST_ROW, 1, key="try.first", width=84)
        rows = st.number_input(_("Rows"), 1, MOST_ROWS, 1, key="try.rows", width=84)
        pressed = st.button(_("Try"), type="primary", icon=":material/play_arrow:", key="try", disabled=saved is None)
    st.caption(_("Each row is answered right, wrong and in ways that have fooled rewards before."))
    if not pressed or saved is None or name is None:
        return None
    with guarded():
        answers = sample(workspace(), name, "grpo", saved.reward, int(rows), int(first))
        return [ready for row in answers for ready in ready_made(saved.reward, row)]
    return None


def own_answer() -> list[Ready] | None:
    """The answer that was typed, when the button was pressed."""
    completion = st.text_area(_("Completion"), key="try.completion", height=120)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reference = st.text_input(_("Right answer"), key="try.reference")
        prompt = st.text_input(_("Prompt"), key="try.prompt")
        pressed = st.button(_("Try"), type="primary", icon=":material/play_arrow:", key="try-own")
    return [Ready(text("Yours"), Answer(completion, reference, prompt))] if pressed else None


def results(saved: Saved | None) -> None:
    """The scores of the last try, those that should worry marked; chosen ones become test cases."""
    if TRIED not in st.session_state:
        return
    of, tried = st.session_state[TRIED]
    if saved is None or of != stamp(saved):
        st.caption(f":material/history: {_('The reward has changed since: try again.')}")
    shown_worries(tried)
    columns = [
        Column("answer", _("Answer"), kind="name"),
        Column("score", _("Reward"), kind="value", hint=_("And how long scoring this answer took.")),
        Column("why", _("Why"), kind="long"),
    ]
    rows = [result_row(str(at), one) for at, one in enumerate(tried)]
    _pressed, chosen = choice_table(columns, rows, key="try-results", stamp=of + str(len(tried)), chosen=[])
    seconds = sum(t.score.seconds for t in tried) / max(1, len(tried))
    line = _("{time} an answer on average.", time=took(seconds))
    st.caption(f":orange[:material/timer: {line}]" if seconds > SLOW_SECONDS else line)
    st.button(
        _("Keep {n} as test cases", n=len(chosen)) if chosen else _("Choose rows to keep them as test cases"),
        icon=":material/playlist_add:", key="keep-cases", disabled=not chosen,
        on_click=keep, args=([tried[int(at)] for at in chosen],),
    )  # fmt: skip


def stamp(saved: Saved) -> str:
    """What a score depends on: the reward and its code."""
    return f"{write_reward(saved.reward)}\n{saved.code or ''}"


def took(seconds: float) -> str:
    """How long scoring took: "0.82 ms", "12 ms", "5 s"."""
    if seconds >= 1:
        return _("{s} s", s=number(seconds, 2))
    return _("{ms} ms", ms=number(seconds * 1000, 2 if seconds < 0.1 else 3))


def shown_worries(tried: Sequence[Tried]) -> None:
    """What a model could exploit, in words, once each."""
    found = {}
    for one in tried:
        if (said := worry(one, tried)) is not None and one.score.error is None:
            found.setdefault(say(one.ready.name), say(said))
    for name, said in found.items():
        st.markdown(f":small[:orange[:material/warning: {plain(name)}: {plain(said)}]]")
    if tried and len(tried) > 2 and len({t.score.value for t in tried}) == 1:
        st.warning(_("Every answer gets the same reward: nothing can be learned from it."), icon=":material/warning:")


def result_row(key: str, tried: Tried) -> Row:
    """One scored answer."""
    score, name = tried.score, say(tried.ready.name)
    number = tried.ready.answer.number
    where = _("row {n}", n=number) if number is not None else ""
    values = ["–" if p.value is None else f"{p.value:.3g}" for p in score.parts]
    said = [f"{_(kind(p.kind).title)} {v}: {say(p.why)}" for p, v in zip(score.parts, values, strict=True)]
    return Row(
        key,
        {
            "answer": words(name, where, tried.ready.answer.completion[:SHOWN]),
            "score": words(f"{score.value:.3g}", took(score.seconds)),
            "why": words(say(score.parts[0].why) if len(said) == 1 else " · ".join(said)),
        },
        label=name,
    )


def keep(tried: Sequence[Tried]) -> None:
    """Add scored answers to the test cases of the form."""
    kept: list[Case] = list(st.session_state.get(CASES, []))
    taken = {case.name for case in kept}
    for one in tried:
        number = one.ready.answer.number
        stem = str(one.ready.name) + (f", row {number}" if number is not None else "")
        name = next(n for n in (stem, *(f"{stem} ({at})" for at in range(2, 10_000))) if n not in taken)
        taken.add(name)
        kept.append(as_case(one, name))
    st.session_state[CASES] = kept


def cases(saved: Saved | None) -> None:
    """The test cases: run them all, take some out."""
    kept: list[Case] = st.session_state.get(CASES, [])
    st.caption(_("Run before every training that uses this reward: when one fails, the training does not begin."))
    if not kept:
        st.caption(_("None yet: try the reward and keep what is telling."))
        return
    with st.container(horizontal=True):
        if st.button(_("Run all"), icon=":material/checklist:", key="run-cases", disabled=saved is None) and saved:
            with guarded(), st.spinner(_("Scoring…")):
                reward = saved.reward.model_copy(update={"on_error": "zero"})
                with open_scorer(reward, saved.folder, code=saved.code) as scorer:
                    st.session_state[RESULTS] = run_cases(scorer, kept)
                    st.session_state[RESULTS_OF] = stamp(saved)
        place = st.empty()
    fresh = saved is not None and st.session_state.get(RESULTS_OF) == stamp(saved)
    done = {id(r.case): r for r in st.session_state.get(RESULTS, [])} if fresh else {}
    columns = [
        Column("name", _("Test case"), kind="name"),
        Column("expect", _("Reward"), kind="value"),
        Column("result", _("Result"), kind="long"),
    ]
    rows = [case_row(str(at), case, done.get(id(case))) for at, case in enumerate(kept)]
    _pressed, chosen = choice_table(columns, rows, key="cases", stamp=str(len(kept)), chosen=[])
    place.button(
        _("Take out"), icon=":material/delete:", key="drop-cases", disabled=not chosen,
        on_click=drop, args=({int(at) for at in chosen},),
    )  # fmt: skip


def case_row(key: str, case: Case, result: CaseResult | None) -> Row:
    """One test case, with what came of it when it was run."""
    said = "" if result is None else _("passes") if result.passed else say(result.said)
    return Row(
        key,
        {
            "name": words(case.name, "", case.completion[:SHOWN]),
            "expect": words(f"{case.expect:.3g}"),
            "result": words(said),
        },
        label=case.name,
    )


def drop(places: set[int]) -> None:
    st.session_state[CASES] = [case for at, case in enumerate(st.session_state.get(CASES, [])) if at not in places]
    st.session_state.pop(RESULTS, None)


def protected() -> None:
    """What protects this machine from the code that a reward runs."""
    how = protection()
    if how == "bubblewrap":
        st.caption(f":material/shield: {_('Code runs in bubblewrap: no network, no files, no other processes.')}")
    elif how == "landlock":
        line = _("Reduced isolation: bubblewrap can't run here; Landlock and seccomp keep code from network and files.")
        st.caption(f":orange[:material/shield: {line}]")
    else:
        st.error(_("Code of rewards can't run here: install bubblewrap."), icon=":material/gpp_bad:")

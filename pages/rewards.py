"""Rewards: what a model is taught to get more of; built from functions, tried on a bench, saved with test cases."""

from __future__ import annotations

import streamlit as st

from app import reward_bench, reward_form
from app.format import ago
from app.page import card, go, guarded, header, plain, trouble, workspace
from app.trash_panel import trash, undo
from app.words import _, say
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.rewards import service as rewards
from platform_core.rewards.kinds.registry import kind
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.service import RewardInfo
from platform_core.rewards.spec import Reward, write_reward
from platform_core.rewards.store import Saved

LOADED, CODE, TYPED, GONE, SAVED = "reward.loaded", "reward.code", "reward.typed", "rewards.gone", "reward.saved"
STARTER = '''def score(completion, reference, prompt, row):
    """A number, or a number and why: 1 for what is right, 0 for what is not."""
    return float(reference in completion)
'''


def listing() -> None:
    """Built-in and saved rewards as cards."""
    with header(_("Rewards"), _("What a model learns to get more of: try it on answers before you train on it.")):
        if st.button(_("New reward"), type="primary", icon=":material/add:", key="new-reward"):
            go("rewards", new="exact_match")
    undo(GONE, "rewards", rewards.restore)
    found = rewards.list_rewards(workspace().home)
    mine = [info for info in found if not info.built_in]
    if mine:
        st.markdown(f"##### {_('Yours')}")
        with st.grid(3, min_column_width=280):
            for info in mine:
                entry(info)
    st.markdown(f"##### {_('Built in')}")
    with st.grid(3, min_column_width=280):
        for info in found:
            if info.built_in:
                entry(info)
    trash(rewards.deleted(workspace().home), rewards.restore)


def entry(info: RewardInfo) -> None:
    """One reward as a card that leads to its bench."""
    preset = PRESETS.get(info.name)
    with card(f"reward-{info.name}"):
        title = _(preset.title) if preset is not None else info.name
        if st.button(plain(title), icon=":material/trophy:", type="tertiary", key=f"open.{info.name}"):
            go("rewards", name=info.name)
        if info.unreadable is not None:
            st.caption(f":red[:material/error: {plain(say(info.unreadable))}]")
            return
        line = _(preset.summary) if preset is not None else ", ".join(_(kind(k).title) for k in info.kinds)
        st.caption(plain(line))
        if info.modified is not None:
            cases = _("{n} test cases", n=info.cases) if info.cases else _("no test cases")
            st.caption(f"{cases} · {ago(now() - info.modified)}")


def detail(saved: Saved, name: str) -> None:
    """The form at the left; saving, trying and the test cases at the right."""
    title = _(PRESETS[saved.name].title) if not name and saved.name in PRESETS else name
    line = _("Built from functions; the reward of an answer is the sum of what they say, each times its weight.")
    with header(title if name else _("New reward"), line):
        if st.button(_("All rewards"), icon=":material/arrow_back:", key="all-rewards"):
            go("rewards")
        if name and name not in PRESETS and st.button(_("Delete"), icon=":material/delete:", key="delete"):
            confirm(name)
    load(saved, name)
    left, right = st.columns([5, 4], gap="large")
    with left:
        reward, findings = reward_form.form(workspace())
        code = own_code() if needs_code() else None
        reward_form.as_yaml(reward)
    current = None if reward is None else Saved(name or "new", reward, code, st.session_state[reward_bench.CASES])
    with right:
        with st.container(border=True, gap="small"):
            save_box(current, saved, name)
            reward_form.told(findings)
        with st.container(border=True, gap="small", key="bench"):
            reward_bench.bench(current)
        with st.container(border=True, gap="small"):
            kept = st.session_state[reward_bench.CASES]
            st.markdown(f"##### {_('Test cases ({n})', n=len(kept))}")
            reward_bench.cases(current)


def load(saved: Saved, name: str) -> None:
    """Put a reward into the form when another one is opened; what is typed already stays."""
    if st.session_state.get(LOADED) == (name, saved.name):
        return
    st.session_state[LOADED] = (name, saved.name)
    reward_form.load(saved.reward)
    st.session_state[CODE] = saved.code or STARTER
    st.session_state.pop(TYPED, None)
    st.session_state[reward_bench.CASES] = list(saved.cases)
    for key in (reward_bench.TRIED, reward_bench.RESULTS):
        st.session_state.pop(key, None)


def needs_code() -> bool:
    """Whether a function of the form calls Python of one's own."""
    return any(kind(block.kind).needs_row for block in st.session_state[reward_form.FUNCTIONS])


def own_code() -> str:
    """The reward's own Python."""
    st.markdown(f"###### {_('Your Python')}")
    st.session_state.setdefault(TYPED, st.session_state.get(CODE, STARTER))
    with st.container(key="reward-code"):
        code: str = st.text_area(_("Your Python"), key=TYPED, height=260, label_visibility="collapsed")
    st.session_state[CODE] = code  # what a widget holds goes when another page is opened
    return code


def save_box(current: Saved | None, saved: Saved, name: str) -> None:
    """Save under a name, or take back what was typed."""
    own = bool(name) and name not in PRESETS
    typed = name if own else st.text_input(
        _("Name"), key="reward.name", placeholder="my_reward", help=_("Letters, digits, dot, dash and underscore.")
    ).strip()  # fmt: skip
    changed = current is None or not same(current, saved)
    if own and not changed:
        said = st.session_state.get(SAVED)
        st.caption(_("Everything is saved.") if said is None else _("Saved {time}.", time=ago(now() - said)))
        with st.container(horizontal=True):
            if st.button(_("Train with it"), icon=":material/play_arrow:", key="train", type="primary"):
                go("new-job", kind="grpo", reward=name)
            renaming(name)
        return
    if own:
        st.markdown(f":orange[:material/edit: {_('Not saved yet.')}]")
    ready = current if typed else None
    pressed = st.button(_("Save"), icon=":material/save:", type="primary", key="save", disabled=ready is None)
    if pressed and ready is not None:
        with guarded():
            rewards.save(workspace().home, typed, ready.reward, ready.code, ready.cases, replace=own)
            st.session_state[SAVED] = now()
            go("rewards", name=typed)


def same(current: Saved, saved: Saved) -> bool:
    """Whether the form holds what is saved."""
    code = saved.code or (STARTER if current.code is not None and saved.folder is None else None)
    return (
        plain_values(current.reward) == plain_values(saved.reward)
        and (current.code or None) == (code or None)
        and list(current.cases) == list(saved.cases)
    )


def plain_values(reward: Reward) -> str:
    return write_reward(reward)


def renaming(name: str) -> None:
    """Give it another name, or a copy of it."""
    with st.popover(_("Rename or copy"), icon=":material/edit:", key="rename"):
        new = st.text_input(_("New name"), value=name, key=f"new-name.{name}").strip()
        with st.container(horizontal=True):
            if st.button(_("Rename"), key="rename.do", disabled=new in ("", name)):
                with guarded():
                    rewards.rename(workspace().home, name, new)
                    go("rewards", name=new)
            if st.button(_("Copy"), key="copy.do", disabled=new in ("", name)):
                with guarded():
                    rewards.copy(workspace().home, name, new)
                    go("rewards", name=new)


def confirm(name: str) -> None:
    """Ask before a reward goes to the trash."""

    @st.dialog(_("Delete “{name}”?", name=plain(name)))
    def ask() -> None:
        st.write(
            _(
                "It goes to the trash with its code and test cases, from where it can be restored. "
                "Jobs keep the copy that they began with."
            )
        )
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(_("Keep it"), key="keep"):
                st.rerun()
            if st.button(_("Delete reward"), type="primary", key="really-delete", on_click=remove, args=(name,)):
                go("rewards")

    ask()


def remove(name: str) -> None:
    st.session_state[GONE] = rewards.delete(workspace().home, name)


def chosen() -> tuple[Saved, str] | None:
    """The reward that the address names and its name, or the start of a new one; None for the list."""
    name, new = st.query_params.get("name"), st.query_params.get("new")
    if name is not None and name == getattr(st.session_state.get(GONE), "name", None):
        go("rewards")
    if name is None and new is None:
        return None
    return rewards.get(workspace().home, name or new or ""), name or ""


try:
    asked = chosen()
except Problem as problem:
    trouble(problem)
    asked = None
if asked is None:
    st.session_state.pop(LOADED, None)
    listing()
else:
    st.session_state.pop(GONE, None)
    detail(*asked)

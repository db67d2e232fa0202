"""A reward as a form: one block a function, grown from its class, and what counts for all of them; YAML both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.page import plain
from app.pickers import model_choice
from app.spec_form import Choice, fill, localised, spec_form
from app.words import _, say
from platform_core.errors import Problem
from platform_core.ids import new_id
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import Pick
from platform_core.models.service import list_models
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import kind, kinds
from platform_core.rewards.spec import (
    MOST_FUNCTIONS,
    Reward,
    RewardSettings,
    function_values,
    judge_reward,
    read_reward,
    write_reward,
)
from platform_core.workspace.service import Workspace

SETTINGS, FUNCTIONS, YAML = "reward.settings", "reward.functions", "reward.yaml"


@dataclass(frozen=True)
class Block:
    """A function in the form: an id that stays while others come and go, and its kind."""

    id: str
    kind: str

    @property
    def key(self) -> str:
        return f"reward.f.{self.id}"


def load(reward: Reward) -> None:
    """Put a reward into the form, before it is drawn."""
    blocks = []
    for function in reward.functions:
        block = Block(new_id(), function.kind)
        fill(type(function), block.key, given(function))
        blocks.append(block)
    st.session_state[FUNCTIONS] = blocks
    fill(RewardSettings, SETTINGS, {name: getattr(reward, name) for name in RewardSettings.model_fields})
    st.session_state.pop(YAML, None)


def given(function: RewardFunction) -> dict[str, Any]:
    """A function's settings without its kind."""
    return {name: value for name, value in function_values(function).items() if name != "kind"}


def form(workspace: Workspace) -> tuple[Reward | None, list[Finding]]:
    """Draw the form; the reward as typed, or None with what is wrong."""
    blocks: list[Block] = st.session_state.setdefault(FUNCTIONS, [])
    choices: dict[Pick, Sequence[Choice]] = {}
    if any(kind(b.kind).where == "model" for b in blocks):
        choices["model"] = [model_choice(m) for m in list_models(workspace, ("reward_model",))]
    functions = [block_form(block, len(blocks), choices) for block in blocks]
    add(blocks)
    st.markdown(f"###### {_('For all functions')}")
    shared = spec_form(RewardSettings, SETTINGS, {})
    return judge_reward({**present(shared.values), "functions": functions})


def block_form(block: Block, of: int, choices: Mapping[Pick, Sequence[Choice]]) -> dict[str, Any]:
    """One function: what it does, its settings, and the way to take it out."""
    chosen = kind(block.kind)
    with st.container(border=True, gap="small", key=f"function-{block.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f":material/{chosen.icon}: **{_(chosen.title)}**", help=_(chosen.summary), width="content")
            if of > 1:
                st.button(_("Remove"), icon=":material/close:", type="tertiary", key=f"remove.{block.id}",
                          on_click=remove, args=(block,))  # fmt: skip
        drawn = spec_form(chosen.spec, block.key, choices)
    return {"kind": block.kind, **present(drawn.values)}


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is typed; an empty field stands for its default."""
    return {name: value for name, value in values.items() if value is not None}


def add(blocks: Sequence[Block]) -> None:
    """The ways to add a function."""
    if len(blocks) >= MOST_FUNCTIONS:
        return
    with st.popover(_("Add a function"), icon=":material/add:", key="add-function"), st.container(gap=None):
        for one in kinds().values():
            st.button(
                _(one.title), icon=f":material/{one.icon}:", help=_(one.summary), type="tertiary",
                key=f"add.{one.name}", on_click=append, args=(one.name,),
            )  # fmt: skip


def append(name: str) -> None:
    st.session_state[FUNCTIONS] = [*st.session_state.get(FUNCTIONS, []), Block(new_id(), name)]
    st.session_state.pop(YAML, None)


def remove(block: Block) -> None:
    st.session_state[FUNCTIONS] = [b for b in st.session_state[FUNCTIONS] if b.id != block.id]
    st.session_state.pop(YAML, None)


def as_yaml(reward: Reward | None) -> None:
    """The same as YAML; what is written there can be taken into the form."""
    written = write_reward(reward) if reward is not None else ""
    if reward is not None and (YAML not in st.session_state or st.session_state.get(f"{YAML}.of") != written):
        st.session_state[f"{YAML}.of"] = st.session_state[YAML] = written
    with st.expander(_("As YAML"), icon=":material/data_object:", key="reward-yaml"):
        typed = st.text_area(_("The reward as YAML"), key=YAML, height=260, label_visibility="collapsed")
        st.button(
            _("Take this into the form"), key="take-yaml", disabled=typed == written, on_click=take, args=(typed,)
        )
        if said := st.session_state.get(f"{YAML}.wrong"):
            st.markdown(f":small[:red[:material/error: {plain(say(said))}]]")


def take(typed: str) -> None:
    """Read YAML into the form, or keep why that can't be."""
    try:
        reward = read_reward(typed)
    except Problem as problem:
        st.session_state[f"{YAML}.wrong"] = problem.text
        return
    st.session_state.pop(f"{YAML}.wrong", None)
    load(reward)


def told(findings: Sequence[Finding]) -> None:
    """What is wrong with the reward as a whole."""
    for finding in findings:
        if finding.forbids:
            st.markdown(f":small[:red[:material/error: {plain(say(localised(finding.text)))}]]")

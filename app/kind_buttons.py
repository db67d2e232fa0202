"""The kinds of job that a dataset or a model can be used for: the most likely one large, the others side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.page import plain
from app.words import _
from platform_core.algorithms.registry import Algorithm


def kind_buttons(kinds: Sequence[tuple[Algorithm, str]], others: str) -> Algorithm | None:
    """The kind that was pressed. `kinds`: each with the label that it has as the first one; `others`: what stands
    between the first and the others, which are named by their titles and told by their summaries.
    """
    pressed = None
    for kind, label in kinds[:1]:
        if st.button(label, icon=f":material/{kind.icon}:", type="primary", width="stretch", key=f"use.{kind.name}"):
            pressed = kind
    if len(kinds) > 1:
        st.caption(others)
        with st.container(horizontal=True, gap="xsmall", key="other-uses"):
            for kind, _label in kinds[1:]:
                if st.button(_(kind.title), help=plain(_(kind.summary)), key=f"use.{kind.name}"):
                    pressed = kind
    return pressed

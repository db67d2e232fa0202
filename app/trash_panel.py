"""What was deleted of datasets and rewards, on their pages: the way back right after it, and the trash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from app.format import ago
from app.page import go, guarded, plain, workspace
from app.sizes import bytes_text
from app.words import _
from platform_core.clock import now
from platform_core.workspace.trash import TrashEntry

Restore = Callable[[Path, str], object]
"""Brings an entry, by its id, back into a workspace."""


def undo(key: str, page: str, restore: Restore) -> None:
    """What was just deleted, which the session keeps under `key`, and the way back to it on its page."""
    gone = st.session_state.get(key)
    if gone is None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="undo-row"):
        st.markdown(_("“{name}” is in the trash.", name=plain(gone.name)))
        if st.button(_("Undo"), icon=":material/undo:", key="undo"):
            st.session_state.pop(key)
            with guarded():
                restore(workspace().home, gone.id)
                go(page, name=gone.name)


def trash(entries: Sequence[TrashEntry], restore: Restore) -> None:
    """What was deleted and can come back."""
    if not entries:
        return
    with st.expander(_("Trash ({n})", n=len(entries)), icon=":material/delete:"):
        for gone in entries:
            with st.container(horizontal=True, vertical_alignment="center"):
                size = [bytes_text(gone.size_bytes)] if gone.size_bytes else []
                facts = [plain(gone.name), *size, ago(now() - gone.deleted_at)]
                st.markdown(" · ".join(facts), width="stretch")
                if st.button(_("Restore"), key=f"restore.{gone.id}"):
                    with guarded():
                        restore(workspace().home, gone.id)
                        st.rerun()

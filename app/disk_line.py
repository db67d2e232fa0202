"""A line on every page while the workspace's disk is full, or nearly.

It asks the disk itself: an alert would have to be stored in a database that can't be written any more.
"""

from __future__ import annotations

import streamlit as st

from app.page import workspace
from app.sizes import bytes_text
from app.words import _
from platform_core.environment.machine import disk
from platform_core.jobs.check import LEAST_FREE

EVERY = 10.0
FULL = 16 * 2**20
"""Bytes below which a checkpoint of the smallest model may not fit any more."""


def disk_line() -> None:
    """Looked at again every few seconds, also on a page that nobody touches."""
    st.fragment(line, run_every=EVERY, key="disk-line")()


def line() -> None:
    found = disk(workspace().home)
    if found.free >= LEAST_FREE:
        return
    free, total = bytes_text(found.free), bytes_text(found.total)
    room = _("Empty the trash, delete old jobs, or make room elsewhere on that disk.")
    if found.free < FULL:
        said = _(
            "The workspace's disk is full: {free} of {total} are free. Trainings go on, but checkpoints, numbers and "
            "logs can't be saved, and what you see here may be old.", free=free, total=total,
        )  # fmt: skip
        st.error(f"{said} {room}", icon=":material/hard_drive:")
    else:
        said = _("The workspace's disk is nearly full: {free} of {total} are free, and no new job starts.",
                 free=free, total=total)  # fmt: skip
        st.warning(f"{said} {room}", icon=":material/hard_drive:")

"""Ways to take a report of jobs along: HTML, PDF, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from app.words import _, language
from platform_core.jobs.store import Job


def report_menu(chosen: Sequence[Job]) -> None:
    """The formats as links that the server makes when they are pressed."""
    kinds = {
        "html": (_("HTML, one file that opens offline"), "html"),
        "pdf": (_("PDF, to print or send"), "picture_as_pdf"),
        "csv": (_("CSV, every point of every metric"), "csv"),
    }
    with st.popover(_("Report"), icon=":material/description:", key="report.menu"):
        st.caption(_("Settings, results with intervals, curves, history, and how to make it again."))
        for name, (label, icon) in kinds.items():
            query = urlencode({"jobs": ",".join(job.id for job in chosen), "format": name, "lang": language()})
            st.link_button(
                label, f"/api/report?{query}", icon=f":material/{icon}:", width="stretch", key=f"report.{name}"
            )

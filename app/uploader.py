"""A drop zone that streams files of any size straight to `PUT /api/upload`, with progress and cancel.

`st.file_uploader` keeps whole files in the server's memory (2 GB of file: 3.9 GB of memory).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.words import _, language

HTML = """
<div class="drop">
  <input type="file" multiple tabindex="-1" aria-hidden="true">
  <div class="rest"><button type="button" class="choose"></button><span class="hint"></span></div>
  <div class="busy" hidden>
    <div class="line"><span class="what"></span><button type="button" class="cancel"></button></div>
    <div class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100"><div class="bar"></div></div>
  </div>
  <div class="clash" hidden>
    <button type="button" class="replace"></button><button type="button" class="both"></button>
    <button type="button" class="leave"></button>
  </div>
  <div class="told" role="alert"></div>
</div>
"""
STATIC = Path(__file__).with_name("static")

_uploader = st.components.v2.component(
    "lathe_uploader",
    html=HTML,
    css=(STATIC / "uploader.css").read_text("utf-8"),
    js=(STATIC / "uploader.js").read_text("utf-8"),
)


def uploader(key: str) -> list[str]:
    """Draw the drop zone; the names of datasets whose upload has just ended well."""
    labels = {
        ".choose": _("Choose files"),
        ".hint": _("or drop them here: JSON Lines, JSON, CSV, Parquet, text; also .gz, .zst, .zip. Any size."),
        ".cancel": _("Cancel"),
        ".replace": _("Replace the old one"),
        ".both": _("Keep both"),
        ".leave": _("Keep the old one"),
    }
    words = {
        "labels": labels,
        "lang": language(),
        "taken": _("There is a dataset called {name} already."),
        "cut": _("The connection was cut and nothing was kept: try again."),
        "cancelled": _("Cancelled; nothing was kept."),
    }
    result = _uploader(key=key, data={"words": words}, on_done_change=lambda: None)
    done = result.done if isinstance(result.done, list) else []
    return [str(name) for name in done]

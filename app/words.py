"""Texts in the reader's language: `_("Start")`.

The English text is the key; `app/locale/<language>.po` holds the others.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from platform_core.errors import Problem, Text, fill

LANGUAGES = {"en": "English", "zh": "中文"}
LOCALE = Path(__file__).parent / "locale"


@cache
def catalogue(language: str) -> Catalog | None:
    """The translations of a language; None for English, whose texts are the keys."""
    path = LOCALE / f"{language}.po"
    if not path.is_file():
        return None
    with path.open("rb") as f:
        return read_po(f, locale=language)


def language() -> str:
    """The language of this session: chosen on the page, asked for in the address, or the browser's."""
    for wish in (st.session_state.get("lang"), st.query_params.get("lang"), st.context.locale):
        code = str(wish or "").split("-")[0]
        if code in LANGUAGES:
            return code
    return "en"


def translate(template: str, values: dict[str, object], language: str) -> str:
    """`template` in `language` with its values put in; the English template when there is no translation."""
    words = catalogue(language)
    message = words.get(template) if words is not None else None
    said = message.string if message is not None and isinstance(message.string, str) and message.string else template
    inner = {k: say(v, language) if isinstance(v, Text) else v for k, v in values.items()}
    return fill(said, inner)


def _(template: str, **values: object) -> str:
    """A text of a page in the session's language."""
    return translate(template, values, language())


def say(said: Text | Problem | str, to: str | None = None) -> str:
    """A sentence that the core made, in the session's language (or `to`)."""
    if isinstance(said, Problem):
        said = said.text
    if isinstance(said, str):
        return translate(said, {}, to or language())
    return translate(said.template, said.values, to or language())

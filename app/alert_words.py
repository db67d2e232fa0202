"""How alerts look and speak, the same everywhere: icon, word and colour of a level, the name of a rule."""

from __future__ import annotations

from typing import Literal

from app.words import _, say
from platform_core.alerts.service import shown
from platform_core.doctor.diagnosis import Level
from platform_core.doctor.service import rules
from platform_core.errors import Text, text

Colour = Literal["blue", "orange", "red"]
ICONS: dict[Level, str] = {
    "info": ":material/info:",
    "warning": ":material/warning:",
    "critical": ":material/error:",
}
COLOURS: dict[Level, Colour] = {"info": "blue", "warning": "orange", "critical": "red"}
WORDS: dict[Level, Text] = {"info": text("Note"), "warning": text("Warning"), "critical": text("Critical")}


def level_word(level: Level) -> str:
    """The level's name in the session's language."""
    return say(WORDS[level])


def rule_word(rule: str) -> str:
    """The name of a rule in the session's language; that of a rule of another version as it is kept."""
    known = rules().get(rule)
    return rule if known is None else say(known.title)


def as_cell(level: Level) -> dict[str, str]:
    """A level for the table, drawn as a state is."""
    icon = ICONS[level].removeprefix(":material/").removesuffix(":")
    return {"icon": icon, "colour": COLOURS[level], "word": level_word(level)}


def value_words(value: object) -> str:
    """The value of a setting as a person reads it."""
    return _("empty") if value is None or value == "" else shown(value)

"""Fields of a dataset row as texts."""

from __future__ import annotations

import json

from platform_core.rewards.answer import Answer


def field_text(answer: Answer, name: str) -> str:
    """A field of the answer's row as a text: JSON for lists and objects, empty where there is none."""
    value = answer.row.get(name)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

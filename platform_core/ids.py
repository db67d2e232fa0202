"""The one id generator: short, sortable by time, safe in a path, a URL and a shell."""

from __future__ import annotations

import re
import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID = re.compile(r"^[0-9a-hjkmnp-tv-z]{12}$")


def new_id() -> str:
    """Twelve characters: eight of milliseconds since 2020 (base 32), four random."""
    stamp = int(time.time() * 1000) - 1_577_836_800_000
    digits = [ALPHABET[(stamp >> shift) & 31] for shift in range(35, -1, -5)]
    return "".join(digits) + "".join(secrets.choice(ALPHABET) for _ in range(4))


def is_id(text: str) -> bool:
    return bool(ID.match(text))

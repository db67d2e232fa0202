"""One Hydra override: a key of verl's config and its value, written in Hydra's grammar (hydra.cc, "Extended Override").

A value may be known only when the training starts (the longest prompt, the steps of an epoch): `Later`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from platform_core.errors import Problem

PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/.:@+-]*|-?[0-9][0-9.]*/[A-Za-z0-9_/.-]+")
LOOKS_LIKE_OTHER = re.compile(r"(?i)(true|false|null|nan|[+-]?inf)")
WORD = re.compile(r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^\s'\"])+")
KEY = re.compile(r"(\+{1,2}|~)?([A-Za-z_][A-Za-z0-9_./@-]*)")


@dataclass(frozen=True)
class Later:
    """A number that is counted when the training starts; `what` says of what."""

    what: str


Value = None | bool | int | float | str | Later | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True)
class Override:
    """`key=value`, or `+key=value` for a key that verl's config does not have yet."""

    key: str
    value: Value
    adds: bool = False

    def __str__(self) -> str:
        return f"{'+' if self.adds else ''}{self.key}={written(self.value)}"


def written(value: Value) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Later):
        return f"<{value.what}>"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and not LOOKS_LIKE_OTHER.fullmatch(value) else quoted(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(v)}" for key, v in value.items()) + "}"
    return "[" + ",".join(map(written, value)) + "]"


def quoted(text: str) -> str:
    """A string that Hydra takes as it is: quotes and interpolations escaped."""
    # Backslashes count double only before a quote, and before `$` of an interpolation for OmegaConf.
    text = re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + "\\${", text)
    text = re.sub(r"(\\*)'", lambda m: m[1] * 2 + "\\'", text)
    tail = len(text) - len(text.rstrip("\\"))
    return f"'{text}{chr(92) * tail}'"


def split(typed: str) -> tuple[str, ...]:
    """Overrides that a person typed, separated by spaces or lines. Raises Problem naming the one that is none."""
    words = WORD.findall(typed)
    if WORD.sub("", typed).strip():
        raise Problem("The overrides can't be read: a quote is not closed.", fields=("verl_overrides",))
    for word in words:
        key, equals, _ = word.partition("=")
        found = KEY.fullmatch(key)
        if found is None or not (equals or found[1] == "~"):
            raise Problem(
                "“{word}” is no override: write key=value, such as trainer.save_freq=10, with spaces between them.",
                fields=("verl_overrides",),
                word=word[:80],
            )
        if found[1] == "~":
            raise Problem(
                "“{word}” would delete a key of verl's config: set it to another value instead.",
                fields=("verl_overrides",),
                word=word[:80],
            )
    return tuple(words)


def check_keys(overrides: Sequence[str], known: frozenset[str]) -> None:
    """Raise Problem for the first override whose key verl's config does not have, with the nearest that it has."""
    for override in overrides:
        found = KEY.fullmatch(override.partition("=")[0])
        if found is None or found[2] in known:
            continue
        parent = found[2].rpartition(".")[0]
        if found[1] and (not parent or parent in known or any(k.startswith(parent + ".") for k in known)):
            continue
        near = nearest(found[2], known)
        if near:
            raise Problem(
                "verl has no setting “{key}”; near it are {near}. A key that is meant to be new is written +{key}.",
                fields=("verl_overrides",),
                key=found[2],
                near=", ".join(near),
            )
        raise Problem(
            "verl has no setting “{key}”, nor one that is near it; a key that is meant to be new is written +{key}.",
            fields=("verl_overrides",),
            key=found[2],
        )


def nearest(key: str, known: frozenset[str], most: int = 3) -> list[str]:
    """The known keys that are most like a misspelt one; those that end in the same name come first."""
    last = key.rpartition(".")[2]
    same = sorted(k for k in known if k.rpartition(".")[2] == last)
    alike = get_close_matches(key, sorted(known), n=most, cutoff=0.75)
    return list(dict.fromkeys([*get_close_matches(key, same, n=most, cutoff=0.5), *alike]))[:most]

"""What a runner reports, made into values that SQLite and JSON surely take."""

import json
import math
from collections.abc import Mapping

from platform_core.metrics.chunks import FIRST_STEP, LAST_STEP
from platform_core.metrics.schema import TIME_NAME

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def clean_text(text: object) -> str:
    """Text that encodes as UTF-8: a lone surrogate (from a tokenizer or a file name) becomes "?"."""
    said = str(text)
    return said if said.isascii() else said.encode("utf-8", "replace").decode("utf-8")


def clean_step(step: object) -> int:
    """A step as an integer; raises ValueError or TypeError for one that SQLite cannot order."""
    number = int(step)  # type: ignore[call-overload]
    if not FIRST_STEP <= number <= LAST_STEP:
        raise ValueError(f"step {number} is out of range")
    return int(number)


def clean_numbers(values: Mapping[str, object], known: Mapping[str, int]) -> dict[str, float]:
    """The numbers among the values by clean name; texts, lists, None and the reserved name are left out."""
    if values.keys() <= known.keys() and set(map(type, values.values())) == {float}:
        return dict(values)  # type: ignore[arg-type]
    numbers = {}
    for name, value in values.items():
        if type(value) is not float:
            try:
                if isinstance(value, str | bytes):
                    continue
                value = float(value)  # type: ignore[arg-type]
            except Exception:  # whatever float() of a tensor or a foreign object raises
                continue
        if name not in known:
            name = clean_text(name)
            if name == TIME_NAME:
                continue
        numbers[name] = value
    return numbers


def to_json(value: Mapping[str, object]) -> str:
    """JSON of a row of data; numbers that JSON lacks become "nan", "inf", "-inf", unknown objects their text."""
    try:
        written = _encode(value)  # most rows are plain already
        written.encode("utf-8")
    except (TypeError, ValueError):
        return _encode(_plain(value))
    return written


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {clean_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    to_list = getattr(value, "tolist", None)  # numpy and torch, without importing either
    return _plain(to_list()) if callable(to_list) else clean_text(value)

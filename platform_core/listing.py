"""A registry that nobody has to keep: what the modules of a folder declare, found by listing them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

T = TypeVar("T")


def declared_in(package: str, name: str, kind: type[T]) -> list[T]:
    """What the modules of a package declare as `name`, such as `ALGORITHM`, where it is of that kind."""
    found = []
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        declared = getattr(importlib.import_module(f"{package}.{module.name}"), name, None)
        if isinstance(declared, kind):
            found.append(declared)
    return found

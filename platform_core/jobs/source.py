"""The part of this repository's own code that a program needs, to be taken along where the platform is not.

Read from the source, nothing is imported: the modules that a module imports, those that it names in a string
("runners.programs.train"), and the whole of a folder that a registry lists.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from platform_core.root import ROOT

OURS = ("platform_core", "runners")
LISTS_ITS_FOLDER = "declared_in(__package__"
"""What a registry says when it lists the modules beside it; none of them is imported by name."""


def file_of(module: str, root: Path = ROOT) -> Path | None:
    """The file of a module of ours; None when there is none."""
    if module.partition(".")[0] not in OURS or not all(part.isidentifier() for part in module.split(".")):
        return None
    place = root.joinpath(*module.split("."))
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


def closure(modules: Iterable[str], root: Path = ROOT) -> tuple[list[Path], set[str]]:
    """All files of ours that `modules` need, and the top-level names of the packages of others that they import."""
    waiting, found, others = list(modules), dict[str, Path](), set[str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        file = file_of(name, root)
        if file is None:
            continue
        found[name] = file
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for wanted in _imported(tree):
            top = wanted.partition(".")[0]
            if top in OURS:
                waiting.append(wanted)
            elif top not in sys.stdlib_module_names:
                others.add(top)
        if LISTS_ITS_FOLDER in file.read_text(encoding="utf-8"):
            package = name.rpartition(".")[0]
            waiting += [f"{package}.{f.stem}" for f in sorted(file.parent.glob("*.py")) if f.stem != "__init__"]
    data = {
        f
        for folder in {p.parent for p in found.values()}
        for f in folder.iterdir()
        if f.is_file() and f.suffix != ".py"
    }
    return sorted({*found.values(), *data}), others


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(OURS):
            yield node.value


def distributions(tops: Iterable[str]) -> list[str]:
    """Names of the installed distributions that bring these top-level packages."""
    known = metadata.packages_distributions()
    return sorted({known[top][0] for top in tops if known.get(top)}, key=str.lower)

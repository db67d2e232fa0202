"""Hold every text that people read against the catalogue `app/locale/zh.po`; `make lint` runs this.

    tools/check_words.py            list what is missing, obsolete or broken; exit code 1 when there is any
    tools/check_words.py --update   add the missing texts with an empty translation
    tools/check_words.py --prune    drop the translations of texts that nothing says any more

Texts come from two places. From the code: the literal first argument of `_()`, `say()`, `text()`, `Text()`, `Problem()`
(and its kinds) and `cross_field()` in app, pages, platform_core and runners. From the live registry: titles, helps,
groups, units and choices of all settings and options, kinds of job, rewards, data formats, states.

A first argument that is no literal is allowed where it is one of
  - a conditional expression of literals: `_("Start" if new else "Go on")`,
  - the name of a text at the top of the same module: `NOT_JSON = "is not JSON"`,
  - an attribute that the registry fills: `_(setting.title)`, `_(kind.summary)` (see REGISTERED), or the `template` of a
    sentence that was collected where it was made,
  - any expression in a call that says which part of the registry its text comes from: `_(name)  # words: states`,
  - what a function in HANDS_ON passes on to it.
`say(sentence)` takes sentences that were collected where they were made.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import os
import string
import sys
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = Path("app/locale/zh.po")
ROOMS = ("app", "pages", "platform_core", "runners")
MARKS = {
    "app.words": {"_", "say"},
    "platform_core.errors": {"text", "Text", "Problem"},
    "platform_core.jobs.spec": {"cross_field"},
    "platform_core.datasets.samples": {"Unusable"},
}
"""Module → what it offers to mark a text; only names that come from there count (SQLAlchemy has a `text`, too)."""
REGISTERED = {"title", "help", "group", "unit", "empty", "summary", "holds", "takes", "state", "template"}
SOURCES = ("settings", "algorithms", "formats", "states")
HANDS_ON = {
    "app/words.py": {"_", "say", "translate"},
    "platform_core/errors.py": {"from_json", "text", "__init__"},
    "platform_core/jobs/messages.py": {"explain"},
    "platform_core/models/answers.py": {"answer"},
}
"""File → functions that pass on a template which was collected where it was written."""


@dataclass
class Found:
    """Texts with the places where they are, and calls whose text can't be known."""

    texts: dict[str, set[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def add(self, words: str, place: str) -> None:
        if has_words(words):
            self.texts.setdefault(words, set()).add(place)


def has_words(template: str) -> bool:
    """Whether a template says anything besides its values."""
    try:
        literal = "".join(part for part, *_ in string.Formatter().parse(template))
    except ValueError:
        literal = template
    return any(c.isalpha() for c in literal)


def placeholders(template: str) -> set[str]:
    """The names of a template's values; raises ValueError for one that can't be filled."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def collect_code(root: Path, found: Found) -> None:
    """Add the texts of all Python files in the rooms below `root`."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            collect_file(path, path.relative_to(root).as_posix(), found)


def collect_file(path: Path, name: str, found: Found) -> None:
    """Add the texts of one Python file."""
    source = path.read_text("utf-8")
    lines = source.splitlines()
    tree = ast.parse(source)
    constants, marks = named_texts(tree), marks_of(tree, name)
    for call, function in calls(tree, ""):
        place = f"{name}:{call.lineno}"
        mark = marks.get(call.func.id, "") if isinstance(call.func, ast.Name) else ""
        if not mark or not call.args:
            continue
        for words in literals(call.args[0], constants):
            if words is not None:
                found.add(words, place)
            elif not may_be_unknown(mark, call, function, name, lines):
                found.unknown.append(f"{place}: the text of {mark}({ast.unparse(call.args[0])[:60]}) can't be known")


def calls(node: ast.AST, function: str) -> Iterator[tuple[ast.Call, str]]:
    """All calls with the name of the function around them."""
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Call):
            yield child, function
        yield from calls(child, inner)


def marks_of(tree: ast.Module, name: str) -> dict[str, str]:
    """The names in a module by which it marks texts, and what each stands for."""
    own = MARKS.get(name.removesuffix(".py").replace("/", "."), set())
    found = {mark: mark for mark in own}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MARKS:
            found |= {a.asname or a.name: a.name for a in node.names if a.name in MARKS[node.module]}
    return found


def named_texts(tree: ast.Module) -> dict[str, str]:
    """The texts that have a name at the top of a module: `NOT_JSON = "is not JSON"`."""
    named = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            named |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    return named


def literals(node: ast.expr, named: dict[str, str]) -> Iterator[str | None]:
    """The texts that an expression can be; None for what is not known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in named:
        yield named[node.id]
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body, named)
        yield from literals(node.orelse, named)
    else:
        yield None


def may_be_unknown(mark: str, call: ast.Call, function: str, name: str, lines: list[str]) -> bool:
    """Whether a call may have a text that is no literal."""
    argument = call.args[0]
    if isinstance(argument, ast.JoinedStr):
        return False
    if mark == "say" or function in HANDS_ON.get(name, ()):
        return True
    if isinstance(argument, ast.Attribute) and argument.attr in REGISTERED:
        return True
    written = "\n".join(lines[call.lineno - 1 : call.end_lineno])
    return any(f"# words: {source}" in written for source in SOURCES)


def collect_registry(found: Found) -> None:
    """Add the texts of all kinds of job, their settings, the data formats and the states."""
    from platform_core.algorithms.registry import algorithms
    from platform_core.datasets.formats import FORMATS
    from platform_core.datasets.needs import NEEDS
    from platform_core.jobs.spec import setting_of
    from platform_core.jobs.states import State
    from platform_core.options.spec import Options
    from platform_core.rewards.kinds.registry import kinds
    from platform_core.rewards.presets import PRESETS
    from platform_core.rewards.spec import RewardSettings

    for kind in algorithms().values():
        for words in (kind.title, kind.summary):
            found.add(words, f"kind {kind.name}")
    declarations = {kind.name: kind.spec.model_fields for kind in algorithms().values()}
    declarations |= {f"the reward function {kind.name}": kind.spec.model_fields for kind in kinds().values()}
    declarations |= {"rewards": RewardSettings.model_fields, "the options": Options.model_fields}
    for whose, fields in declarations.items():
        for name, declared in fields.items():
            made = setting_of(declared, name)
            for words in (made.title, made.help, made.group, made.unit, made.empty, *(made.labels or {}).values()):
                found.add(words, f"setting {name} of {whose}")
    for named in (*kinds().values(), *PRESETS.values()):
        found.add(named.title, "rewards")
        found.add(named.summary, "rewards")
    for form in FORMATS.values():
        found.add(form.title, f"format {form.name}")
        found.add(form.holds, f"format {form.name}")
    for name, need in NEEDS.items():
        found.add(need.title, f"need {name}")
        found.add(need.takes, f"need {name}")
    for state in typing.get_args(State):
        found.add(state, "states")


def compare(found: Found, words: Catalog) -> list[str]:
    """What is wrong between the texts and their translations, a line each."""
    wrong = list(found.unknown)
    for key, places in found.texts.items():
        message = words.get(key)
        said = message.string if message is not None else ""
        if message is None or not isinstance(said, str) or not said.strip():
            wrong.append(f"{min(places)}: not translated: {key!r}")
        else:
            wrong += mismatch(key, said)
    for message in words:
        if message.id and message.id not in found.texts:
            wrong.append(f"{CATALOGUE}: nothing says this any more: {message.id!r}")
    return sorted(wrong)


def mismatch(key: str, said: str) -> list[str]:
    """The line for a translation whose values are not those of its text."""
    try:
        wanted = placeholders(key)
    except ValueError:
        wanted = set()  # braces that are no values: the text is never filled
    try:
        if placeholders(said) == wanted:
            return []
    except ValueError:
        if not wanted:
            return []
    return [f"{CATALOGUE}: other {{values}} than in the text: {key!r} → {said!r}"]


def read_catalogue(path: Path) -> Catalog:
    """The translations; an empty catalogue where there is no file."""
    if not path.is_file():
        return Catalog(locale="zh", project="lathe", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale="zh")


def update(found: Found, path: Path, prune: bool = False) -> tuple[int, int]:
    """Add the missing texts, and with `prune` drop the obsolete ones; how many of each. One writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_writer(path.parent):
        words = read_catalogue(path)
        obsolete = [m.id for m in words if prune and m.id and m.id not in found.texts]
        missing = [key for key in found.texts if words.get(key) is None]
        for key in obsolete:
            words.delete(key)
        for key in missing:
            words.add(key, "")
        write_catalogue(words, path)
    return len(missing), len(obsolete)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Keep others who update the catalogue out for a moment."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_catalogue(words: Catalog, path: Path) -> None:
    """Write translations sorted and without dates, so that a diff shows only what was translated."""
    words.fuzzy = False
    words.header_comment = (
        "# Chinese texts of lathe. The English text is the key; tools/check_words.py --update adds missing ones."
    )
    part = path.with_suffix(".po.part")
    with part.open("wb") as file:
        write_po(file, words, width=0, sort_output=True, omit_header=False, no_location=True, ignore_obsolete=True)
    lines = part.read_text("utf-8").splitlines(keepends=True)
    dated = (
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Generated-By",
        "Report-Msgid-Bugs",
        "Language-Team",
    )
    part.write_text("".join(x for x in lines if not x.lstrip('"').startswith(dated)), "utf-8")
    part.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Check or update; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="add missing texts")
    parser.add_argument("--prune", action="store_true", help="drop obsolete texts")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    given = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    found = Found()
    collect_code(given.root, found)
    collect_registry(found)
    path = given.root / CATALOGUE
    if given.update or given.prune:
        added, dropped = update(found, path, given.prune)
        print(f"{path}: {added} texts added, {dropped} dropped")
    wrong = compare(found, read_catalogue(path))
    for line in wrong:
        print(line)
    if wrong:
        print(f"{len(wrong)} texts to mend; tools/check_words.py --update adds what is missing, --prune drops the rest")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

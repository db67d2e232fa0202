"""A job as a YAML file: the form of `spec.yaml`, or its settings alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from platform_core.errors import Problem

LARGEST = 2**20


@dataclass(frozen=True)
class Document:
    """What a file says of a job; `engine` and `name` are empty where it says nothing."""

    engine: str
    name: str
    settings: dict[str, Any]


def read_document(path: str, kind: str) -> Document:
    """Read a job of this kind from a file (`-`: stdin); raises Problem when it is none."""
    try:
        text = sys.stdin.read(LARGEST + 1) if path == "-" else _head(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Problem("{file} can't be read: {reason}.", file=path, reason=reason or str(error)) from error
    if len(text) > LARGEST:
        raise Problem("{file} is larger than 1 MiB: that is no job's settings.", file=path)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise Problem("{file} uses aliases (`*name`): write the values out.", file=path)
        data = yaml.safe_load(text)
    except (RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem("{file} can't be read: {reason}.", file=path, reason=reason) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Problem(
            "{file} is not YAML: line {line} can't be understood ({reason}).",
            file=path,
            line=mark.line + 1 if mark else 1,
            reason=getattr(error, "problem", None) or "unknown character",
        ) from error
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise Problem("{file} holds no settings: write lines such as `learning_rate: 2e-5`.", file=path)
    return _document(data, path, kind)


def _head(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        return file.read(LARGEST + 1)


def _document(data: dict[str, Any], path: str, kind: str) -> Document:
    if not isinstance(data.get("spec"), dict):
        return Document("", "", data)
    if data.get("kind") not in (None, kind):
        raise Problem(
            "{file} describes a job of kind {found}, and this command makes {kind}: take the command of that kind.",
            file=path,
            found=str(data["kind"]),
            kind=kind,
        )
    return Document(str(data.get("engine") or ""), str(data.get("name") or ""), data["spec"])

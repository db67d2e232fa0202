"""A job as YAML, in the form of `spec.yaml` or as its settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from platform_core.errors import Problem

LARGEST = 2**20


@dataclass(frozen=True)
class Document:
    """What a text says of a job; `kind`, `engine` and `name` are empty where it says nothing."""

    kind: str
    engine: str
    name: str
    settings: dict[str, Any]


def write(kind: str, name: str, settings: Mapping[str, Any], engine: str = "") -> str:
    """A job as YAML; what is empty is left out, but for the settings."""
    head = {"kind": kind, "engine": engine, "name": name}
    document = {**{k: v for k, v in head.items() if v}, "spec": dict(settings)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def read(text: str) -> Document:
    """What a YAML text says of a job; raises Problem, with the line where it can't be understood."""
    data = load_yaml(text)
    if not _is_settings(data):
        raise Problem("This YAML holds no settings: write lines such as `learning_rate: 2e-5`.")
    if "spec" not in data:
        return Document("", "", "", data)
    settings = data["spec"] or {}
    if not _is_settings(settings):
        raise Problem("`spec` in this YAML holds no settings: write lines such as `learning_rate: 2e-5` under it.")
    kind, engine, name = (str(data.get(key) or "") for key in ("kind", "engine", "name"))
    return Document(kind, engine, name, settings)


def _is_settings(data: object) -> bool:
    return isinstance(data, dict) and all(isinstance(key, str) for key in data)


def load_yaml(text: str) -> Any:
    """What a YAML text from a person says; raises Problem with the line, also for what unfolds without bound."""
    if len(text) > LARGEST:
        raise Problem("This YAML is larger than 1 MiB: that is no job's settings.")
    try:
        # a few lines of aliases can unfold to gigabytes
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise Problem("This YAML uses aliases (`*name`): write the values out.")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Problem(
            "Line {line} of this YAML can't be understood: {reason}.",
            line=mark.line + 1 if mark else 1,
            reason=getattr(error, "problem", None) or "unknown character",
        ) from error
    except RecursionError as error:
        raise Problem("This YAML can't be understood: it is nested too deeply.") from error
    except ValueError as error:
        raise Problem("This YAML can't be understood: {reason}.", reason=str(error)) from error

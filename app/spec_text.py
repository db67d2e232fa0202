"""A job as text: YAML that fills the form and is filled by it, and the command that does the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from app.sizes import typed
from app.spec_form import default_of, ordered
from platform_core.algorithms.registry import Algorithm
from platform_core.errors import Problem
from platform_core.jobs.spec import JobSpec

LARGEST = 2**18


def to_yaml(kind: str, name: str, values: Mapping[str, Any]) -> str:
    """A job as a YAML document, as `lathe train --config` takes it."""
    document = {"kind": kind, **({"name": name} if name else {}), "spec": {k: as_number(v) for k, v in values.items()}}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def as_number(value: Any) -> Any:
    """A number that was typed as text (2e-5) as a number; anything else as it is."""
    try:
        return float(value) if isinstance(value, str) and re.match(r"[\d.+-]", value) else value
    except ValueError:
        return value


def from_yaml(text: str, kind: str) -> tuple[str, str, dict[str, Any]]:
    """Kind, name and settings of a YAML document (or of its settings alone); raises Problem."""
    data = load(text)
    if not isinstance(data, dict) or not all(isinstance(k, str) for k in data):
        raise Problem("This YAML holds no settings: write lines such as `learning_rate: 2e-5`.")
    if "spec" not in data:
        return kind, "", data
    spec = data["spec"] or {}
    if not isinstance(spec, dict) or not all(isinstance(k, str) for k in spec):
        raise Problem("`spec` in this YAML holds no settings: write lines such as `learning_rate: 2e-5` under it.")
    return str(data.get("kind") or kind), str(data.get("name") or ""), spec


def load(text: str) -> Any:
    """The value of a YAML text; raises Problem with the line for what can't be understood."""
    if len(text) > LARGEST:
        raise Problem("This YAML is longer than {limit} KiB: that is no job's settings.", limit=LARGEST >> 10)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise Problem("This YAML uses aliases (`*name`): write the values out.")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Problem(
            "Line {line} of this YAML can't be understood: {reason}. The form keeps what it had.",
            line=mark.line + 1 if mark else 1,
            reason=getattr(error, "problem", None) or "unknown character",
        ) from error
    except (RecursionError, ValueError) as error:
        raise Problem(
            "This YAML can't be understood: {reason}. The form keeps what it had.", reason=str(error)
        ) from error


def command_line(chosen: Algorithm, name: str, spec: JobSpec, given: Mapping[str, Any]) -> str:
    """The command that makes and starts the same job; `given` are the settings as typed, those at defaults left out."""
    words = ["lathe", "eval" if chosen.role == "evaluate" else "train", chosen.name]
    values = spec.model_dump(mode="json")
    for field_name in ordered(type(spec)):
        field, value, flag = type(spec).model_fields[field_name], values[field_name], field_name.replace("_", "-")
        default = default_of(field)
        if not field.is_required() and default in (value, given.get(field_name, default)):
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", typed(value)]
    if name:
        words += ["--name", name]
    return shlex.join(words)

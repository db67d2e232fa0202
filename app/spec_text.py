"""A job as text: the YAML that a form makes, and the command that does the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from app.sizes import typed
from app.spec_form import default_of, ordered
from platform_core.algorithms.parallel import accelerate_config
from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.training import TrainingSpec
from platform_core.jobs import document
from platform_core.jobs.spec import JobSpec


def to_yaml(kind: str, name: str, values: Mapping[str, Any]) -> str:
    """A job as a YAML document, as `lathe train --config` takes it."""
    return document.write(kind, name, {k: as_number(v) for k, v in values.items()})


def as_number(value: Any) -> Any:
    """A number that was typed as text (2e-5) as a number; anything else as it is."""
    try:
        return float(value) if isinstance(value, str) and re.match(r"[\d.+-]", value) else value
    except ValueError:
        return value


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


def accelerate_yaml(spec: TrainingSpec) -> str:
    """The file with which `accelerate launch --config_file` would set up the same processes."""
    return str(yaml.safe_dump(accelerate_config(spec, spec.dtype == "bfloat16"), sort_keys=False))

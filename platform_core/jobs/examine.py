"""What can be said about a job before it is made: its settings read, resolved and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from platform_core.algorithms.registry import algorithm
from platform_core.environment.machine import usable_cores
from platform_core.errors import text
from platform_core.jobs.check import check
from platform_core.jobs.messages import Finding, validate
from platform_core.jobs.spec import JobSpec, is_shown, setting_of
from platform_core.jobs.usual import with_scaled_ranges
from platform_core.workspace.service import Workspace


def examine(workspace: Workspace, kind: str, values: Mapping[str, Any]) -> tuple[JobSpec | None, list[Finding]]:
    """The resolved spec with all that can be said about it before it runs; None when it can't run."""
    chosen = algorithm(kind)
    spec, findings = validate(chosen.spec, values)
    if spec is None:
        return None, findings
    spec = resolve(spec)
    findings = with_scaled_ranges(workspace, spec, [*check(workspace, chosen, spec), *findings])
    return (None if any(f.level == "error" for f in findings) else spec), findings


def without_effect(spec: JobSpec, given: Iterable[str]) -> list[Finding]:
    """A warning for each setting that somebody gave and that changes nothing, as the others stand."""
    values, fields, found = spec.model_dump(), type(spec).model_fields, []
    for name in given:
        made = setting_of(fields[name], name)
        if is_shown(made, values):
            continue
        other, allowed = next((k, v) for k, v in (made.shown_if or {}).items() if values.get(k) not in v)
        found.append(
            Finding(
                "warning",
                text(
                    "{title} changes nothing while {other} is {value}; it counts with {allowed}.",
                    title=made.title,
                    other=setting_of(fields[other], other).title,
                    value=str(values[other] or "none"),
                    allowed=", ".join(str(one) for one in allowed if one) or "none",
                ),
                (name, other),
            )
        )
    return found


def resolve(spec: JobSpec) -> JobSpec:
    """Replace "automatic" by numbers, so that the stored spec says everything."""
    return spec if spec.cpu_slots is not None else spec.model_copy(update={"cpu_slots": default_cpu_slots()})


def default_cpu_slots() -> int:
    """Half of the cores, so that two jobs fit."""
    return max(1, usable_cores() // 2)
